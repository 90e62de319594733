/** A network's keys and a log of its coordinator, on any store. */
import type { Term } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { createNetwork } from '../../protocol/network/index.ts'
import { openTermCertificate, termCertificateCodec } from '../../protocol/orders/index.ts'
import { createSigner } from '../../protocol/signing/index.ts'
import type { Store } from '../../protocol/store/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'
import { type AuditAct, type AuditLog, openAuditLog } from './index.ts'

export async function auditNetwork() {
  const { network, orderSeed, rootSeed } = await createNetwork({
    name: 'test',
    coordinatorAddrs: ['/ip4/127.0.0.1/tcp/1'],
    issuedMs: 1,
  })
  const signer = createSigner(orderSeed)
  const first = openTermCertificate(network.certificate, network)
  const certify = (term: number): Signed => {
    if (term === 1) return network.certificate
    const payload = termCertificateCodec.encode({ ...first, term: term as Term })
    return createSigner(rootSeed).sign('term-certificate', payload)
  }
  return {
    network,
    signer,
    open(store: Store, term = 1): Promise<AuditLog> {
      let nowMs = term * 1_000
      return openAuditLog(
        { network: network.network, term: term as Term, certificate: certify(term) },
        { store, signer, nowMs: () => nowMs++, logger: silentLogger },
      )
    },
  }
}
export type AuditNetwork = Awaited<ReturnType<typeof auditNetwork>>

export function actOf(number: number): AuditAct {
  return { kind: 'allocation', by: 'coordinator', facts: { slot: `slot-${number}`, epoch: number } }
}
