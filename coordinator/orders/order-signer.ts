/**
 * Builds and signs what goes out under the coordinator's order key: allocations, tickets,
 * revocations. It decides nothing: who, where and which epoch are given.
 */
import { createHash, randomBytes } from 'node:crypto'
import type {
  BundleId,
  Fence,
  InstanceId,
  NetworkId,
  PeerId,
  SlotId,
  Term,
} from '../../protocol/ids.ts'
import {
  type Allocation,
  type AllocationSecrets,
  allocationCodec,
  allocationSecretsCodec,
  type PeerHint,
  type Resources,
  type RestartPolicy,
  revocationCodec,
  ticketCodec,
} from '../../protocol/orders/index.ts'
import { type Sealed, seal } from '../../protocol/sealing/index.ts'
import type { Signer } from '../../protocol/signing/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'

export const ticketMs = 3_600_000
/** SIGTERM to SIGKILL. */
const graceMs = 30_000

export type AllocationSpec = Readonly<{
  fence: Fence
  slot: SlotId
  node: PeerId
  instance: InstanceId
  bundle: BundleId
  hints: readonly PeerHint[]
  resources: Resources
  restart: RestartPolicy
  lostAfterMs: number
  orphanAfterMs: number
  strict: boolean
  restartNow?: boolean
  /** From {@link OrderSigner.sealSecrets}, or of the order that is re-adopted. */
  sealed: Sealed
}>

export type SignedAllocation = Readonly<{
  order: Signed
  issuedMs: number
  acceptUntilMs: number
  leaseEndMs: number
  ticketExpiresMs: number
}>

export interface OrderSigner {
  readonly term: Term
  /** @throws {MessageTooLargeError} */
  encodeSecrets(secrets: AllocationSecrets): Uint8Array
  /** Seals what only the node may read to one of its one-time keys. */
  sealSecrets(encoded: Uint8Array, oneTimeKey: Uint8Array): Sealed
  /** @throws {MessageTooLargeError} */
  allocation(spec: AllocationSpec): SignedAllocation
  ticket(peer: PeerId, bundle: BundleId): Readonly<{ ticket: Signed; expiresMs: number }>
  revocation(at: Readonly<{ slot: SlotId; fence: Fence; node: PeerId; reason: string }>): Signed
}

export type OrderSignerComponents = Readonly<{
  signer: Signer
  network: NetworkId
  term: Term
  /** Coordinator's time. */
  nowMs: () => number
  leaseMs: number
}>

/** Names an order in the audit log: hex SHA-256 of the bytes that were signed. */
export function orderHash({ payload }: Signed): string {
  return createHash('sha256').update(payload).digest('hex')
}

export function createOrderSigner(components: OrderSignerComponents): OrderSigner {
  const { signer, network, term, nowMs, leaseMs } = components
  const common = { v: 1, network } as const
  const nonce = (): Uint8Array => new Uint8Array(randomBytes(16))

  const ticket: OrderSigner['ticket'] = (peer, bundle) => {
    const issuedMs = nowMs()
    const expiresMs = issuedMs + ticketMs
    const payload = ticketCodec.encode({ ...common, term, peer, bundle, issuedMs, expiresMs })
    return { ticket: signer.sign('ticket', payload), expiresMs }
  }
  return {
    term,
    ticket,
    encodeSecrets: (secrets) => allocationSecretsCodec.encode(secrets),
    sealSecrets: seal,
    allocation({ fence, hints, ...spec }) {
      const issuedMs = nowMs()
      // It runs from the signing: what is not taken within a lease was lost on the way.
      const leaseEndMs = issuedMs + leaseMs
      const pass = ticket(spec.node, spec.bundle)
      const order: Allocation = {
        ...common,
        ...spec,
        ...fence,
        hints: [...hints],
        nonce: nonce(),
        ...{ issuedMs, notBeforeMs: issuedMs, acceptUntilMs: leaseEndMs, leaseEndMs },
        ticket: pass.ticket,
      }
      return {
        order: signer.sign('allocation', allocationCodec.encode(order)),
        ...{ issuedMs, acceptUntilMs: leaseEndMs, leaseEndMs, ticketExpiresMs: pass.expiresMs },
      }
    },
    revocation({ slot, fence, node, reason }) {
      const payload = revocationCodec.encode({
        ...common,
        ...{ ...fence, slot, node, nonce: nonce(), issuedMs: nowMs(), graceMs },
        reason: reason.slice(0, 256),
      })
      return signer.sign('revocation', payload)
    },
  }
}
