/** An order in which all is right but who says it: what somebody without the order key can make. */
import { randomBytes, randomUUID } from 'node:crypto'
import type { Epoch, InstanceId, NetworkId, PeerId, SlotId, Term } from '../../protocol/ids.ts'
import { type Allocation, allocationCodec, ticketCodec } from '../../protocol/orders/index.ts'
import { createSigner } from '../../protocol/signing/index.ts'

const bundle = 'ab'.repeat(32) as Allocation['bundle']

/** The bytes of an order to `node`, to be signed by whoever tries it. */
export function orderPayload(
  { network, node }: Readonly<{ network: NetworkId; node: PeerId }>,
  changes: Partial<Allocation> = {},
): Uint8Array {
  const now = Date.now()
  const base = { v: 1, network, term: 1 as Term } as const
  const ticket = { ...base, peer: node, bundle, issuedMs: now, expiresMs: now + 3_600_000 }
  const wrong = createSigner(new Uint8Array(randomBytes(32)))
  return allocationCodec.encode({
    ...base,
    ...{ slot: `${randomUUID()}/0` as SlotId, epoch: 1 as Epoch, node },
    ...{ instance: randomUUID() as InstanceId, nonce: new Uint8Array(randomBytes(16)) },
    ...{ issuedMs: now, notBeforeMs: 0, acceptUntilMs: now + 60_000, leaseEndMs: now + 60_000 },
    ...{ lostAfterMs: 0, orphanAfterMs: 0, strict: false, bundle, hints: [] },
    ticket: wrong.sign('ticket', ticketCodec.encode(ticket)),
    resources: { milliCpus: 1, memoryBytes: 1, storageBytes: 1, shmBytes: 1, gpuUuids: [] },
    restart: 'always',
    sealed: {
      recipientKey: new Uint8Array(randomBytes(32)),
      senderKey: new Uint8Array(randomBytes(32)),
      nonce: new Uint8Array(randomBytes(24)),
      box: new Uint8Array(randomBytes(64)),
    },
    ...changes,
  })
}
