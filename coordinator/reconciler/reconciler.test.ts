import { expect } from 'chai'
import { systemClock } from '../../protocol/clock.ts'
import type { BundleId, PeerId, SlotId } from '../../protocol/ids.ts'
import { type Logger, silentLogger } from '../../protocol/log/index.ts'
import { createMemoryStore } from '../../protocol/store/index.ts'
import { ticketMs } from '../orders/index.ts'
import { PeerState } from '../sessions/index.ts'
import { emptySlot, type Leaving, type Placement, type SlotRecord } from '../slots/index.ts'
import { eventually } from '../testing/coordinator.ts'
import { createReconciler, createSettling, openSlotBook } from './index.ts'

const slot = '00000000-0000-4000-8000-000000000001/0' as SlotId
const bytes = { payload: new Uint8Array(8), signature: new Uint8Array(64) }

function placed(node: string, epoch: number): Placement {
  return {
    ...{ fence: { term: 1, epoch }, node, instance: '00000000-0000-4000-8000-00000000000a' },
    ...{ version: 1, bundle: 'b'.repeat(64) as BundleId, order: bytes },
    resources: { milliCpus: 1, memoryBytes: 1, storageBytes: 1, shmBytes: 0, gpuUuids: [] },
    ...{ issuedMs: 1_000, acceptUntilMs: 2_000, state: 'running', stateSinceMs: 0 },
  } as unknown as Placement
}

describe('coordinator/reconciler', () => {
  const peer = '12D3KooWGjMCwWJZfzXFv8kTGdFWsNkTnhrPmaNZHJyYAXTQJJnS' as PeerId
  let nowMs = 10_000
  let logged: Record<string, unknown>[]

  const open = async (record: SlotRecord, node: PeerState) => {
    const book = await openSlotBook({ store: createMemoryStore() })
    await book.commit([record])
    const logger = { ...silentLogger, info: (fields: object) => logged.push({ ...fields }) }
    return createReconciler(
      { leaseMs: 15_000, skewMs: 2_000, guardMs: 60_000 },
      {
        ...{ book, clock: systemClock, logger: logger as unknown as Logger },
        brake: { holding: false, update: () => undefined },
        mayOrder: () => true,
        settling: createSettling({ startedMs: 0, expected: new Set() }),
        builder: undefined as never,
        holders: { share() {}, touch() {}, add() {} },
        signer: {
          ticket: () => ({ ticket: bytes, expiresMs: nowMs + ticketMs }),
        } as never,
        sessions: { nodes: new Map([[node.node, node]]), send: () => true },
        images: { tend() {}, bundleOf: () => undefined },
        groups: { all: () => [], byId: () => undefined, forgetDeleted: async () => {} },
        ...{ nowMs: () => nowMs, wallMs: () => 0, isHeld: () => false },
      },
    )
  }
  const here = (name: PeerId): PeerState => {
    const node = new PeerState(name, 'node', () => false)
    return Object.assign(node, { connected: true, helloMs: 1_000 })
  }

  beforeEach(() => {
    nowMs = 10_000
    logged = []
  })

  it('gives a fresh ticket after each hello: a restarted daemon has lost its own', async () => {
    const node = here(peer)
    const placement = placed(peer, 1)
    const record = { ...emptySlot(slot), placement, fence: placement.fence }
    const reconciler = await open(record, node)
    const report = { slot, ...placement.fence, state: 'running' } as never
    const hasTicket = (): boolean[] =>
      reconciler.renew(peer, { instances: [report] }).map(({ ticket }) => ticket !== undefined)
    expect(hasTicket()).to.deep.equal([true])
    nowMs += 1_000
    expect(hasTicket()).to.deep.equal([false])
    node.helloMs = nowMs + 500
    nowMs += 1_000
    expect(hasTicket()).to.deep.equal([true])
    nowMs += 1_000
    expect(hasTicket()).to.deep.equal([false])
  })

  it('renews nothing that a goodbye gave up', async () => {
    const node = here(peer)
    const placement = placed(peer, 1)
    const record = { ...emptySlot(slot), placement, fence: placement.fence }
    const reconciler = await open(record, node)
    node.takeGoodbye([slot])
    const report = { slot, ...placement.fence, state: 'running' } as never
    expect(reconciler.renew(peer, { instances: [report] })).to.deep.equal([])
  })

  it('logs a release under the node and epoch that are released', async () => {
    const old: Leaving = {
      ...placed(peer, 3),
      ...{ why: 'revoked', reason: 'x', sinceMs: 1, leaseEndMs: 1 },
    } as Leaving
    const record = {
      ...emptySlot(slot),
      leaving: [old],
      fence: { term: 1, epoch: 7 },
    } as SlotRecord
    const reconciler = await open(record, here(peer))
    reconciler.start()
    try {
      const line = await eventually('the line', () => logged.find(({ did }) => did === 'release'))
      expect(line).to.deep.include({ slot, node: peer, term: 1, epoch: 3 })
    } finally {
      await reconciler.stop()
    }
  })
})
