/** A network, its keys and a genuine order of every kind, for tests. */
import { createHash } from 'node:crypto'
import { identityFromSeed } from '../identity/index.ts'
import type { BundleId, Epoch, InstanceId, PeerId, SlotId, Term } from '../ids.ts'
import { createNetwork } from '../network/index.ts'
import { createSigner } from '../signing/index.ts'
import {
  type Allocation,
  allocationCodec,
  banListCodec,
  createTermKeeper,
  type Pulse,
  pulseCodec,
  revocationCodec,
  rosterCodec,
  type TermCertificate,
  termCertificateCodec,
  ticketCodec,
} from './index.ts'

export const nowMs = 1_700_000_000_000

/** Everything that a test of orders needs; the same each time. */
export async function orderFixture(salt = 'fixture') {
  const random = (() => {
    let count = 0
    return (length: number) =>
      new Uint8Array(createHash('sha256').update(`${salt}/${count++}`).digest().subarray(0, length))
  })()
  const made = await createNetwork({
    name: 'test',
    coordinatorAddrs: ['/ip4/127.0.0.1/tcp/1'],
    issuedMs: nowMs,
    random,
  })
  const { network } = made
  const orders = createSigner(made.orderSeed)
  const root = createSigner(made.rootSeed)
  const node = (await identityFromSeed(random(32))).peer
  const other = (await identityFromSeed(random(32))).peer
  const bundle = 'ab'.repeat(32) as BundleId
  const base = { v: 1 as const, network: network.network, term: 1 as Term }
  const ticket = {
    ...base,
    peer: node,
    bundle,
    issuedMs: nowMs,
    expiresMs: nowMs + 3_600_000,
  }
  const signedTicket = orders.sign('ticket', ticketCodec.encode(ticket))
  const allocation: Allocation = {
    ...base,
    slot: '11111111-2222-4333-8444-555555555555/0' as SlotId,
    epoch: 3 as Epoch,
    node,
    instance: '99999999-2222-4333-8444-555555555555' as InstanceId,
    nonce: random(16),
    issuedMs: nowMs,
    notBeforeMs: nowMs,
    acceptUntilMs: nowMs + 15_000,
    leaseEndMs: nowMs + 15_000,
    lostAfterMs: 0,
    orphanAfterMs: 3_600_000,
    strict: false,
    bundle,
    ticket: signedTicket,
    hints: [{ peer: other, addrs: ['/ip4/127.0.0.1/tcp/2'] }],
    resources: {
      milliCpus: 500,
      memoryBytes: 1 << 28,
      storageBytes: 1 << 30,
      shmBytes: 1 << 26,
      gpuUuids: [],
    },
    restart: 'always',
    sealed: {
      recipientKey: random(32),
      senderKey: random(32),
      nonce: random(24),
      box: random(32),
    },
  }
  return {
    network,
    keeper: createTermKeeper(network, network.certificate),
    orders,
    root,
    node,
    other,
    bundle,
    ticket,
    allocation,
    signAllocation: (changes: Partial<Allocation> = {}) =>
      orders.sign('allocation', allocationCodec.encode({ ...allocation, ...changes })),
    signTicket: (changes: Partial<typeof ticket> = {}) =>
      orders.sign('ticket', ticketCodec.encode({ ...ticket, ...changes })),
    signRevocation: () =>
      orders.sign(
        'revocation',
        revocationCodec.encode({
          ...base,
          slot: allocation.slot,
          epoch: allocation.epoch,
          node,
          nonce: random(16),
          issuedMs: nowMs,
          graceMs: 0,
          reason: 'test',
        }),
      ),
    signRoster: (number: number) =>
      orders.sign('roster', rosterCodec.encode({ ...base, number, issuedMs: nowMs, members: [] })),
    signBans: (number: number, previous: Uint8Array, banned: readonly PeerId[] = []) =>
      orders.sign(
        'ban-list',
        banListCodec.encode({
          ...base,
          number,
          previous,
          issuedMs: nowMs,
          bans: banned.map((peer) => ({ peer, reason: 'test', sinceMs: nowMs })),
        }),
      ),
    signPulse: (changes: Partial<Pulse> = {}) =>
      orders.sign(
        'pulse',
        pulseCodec.encode({
          ...base,
          ...{ number: 1, timeMs: nowMs, settled: true, holding: false, ...changes },
        }),
      ),
    signCertificate: (changes: Partial<TermCertificate>) => {
      const genuine = termCertificateCodec.decode(network.certificate.payload)
      return root.sign('term-certificate', termCertificateCodec.encode({ ...genuine, ...changes }))
    },
  }
}
