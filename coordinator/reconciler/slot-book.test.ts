import { expect } from 'chai'
import fc from 'fast-check'
import type { BundleId, GroupId, PeerId, SlotId } from '../../protocol/ids.ts'
import { createMemoryStore } from '../../protocol/store/index.ts'
import { emptySlot, type Leaving, type Placement, type SlotRecord } from '../slots/index.ts'
import { createHolders } from './holders.ts'
import { openSlotBook, type SlotBook } from './slot-book.ts'

const nodes = ['G', 'H', 'J'].map((letter) => `12D3KooW${letter.repeat(44)}` as PeerId)
const bundles = ['a', 'b'].map((letter) => letter.repeat(64) as BundleId)
const groups = [1, 2].map((number) => `00000000-0000-4000-8000-00000000000${number}` as GroupId)

function placement(node: number, bundle: number, state: string): Placement {
  return {
    ...{ fence: { term: 1, epoch: 1 }, node: nodes[node], bundle: bundles[bundle], state },
    ...{ instance: '00000000-0000-4000-8000-00000000000a', version: 1, issuedMs: 1 },
    order: { payload: new Uint8Array(8), signature: new Uint8Array(64) },
    resources: { milliCpus: 1, memoryBytes: 1, storageBytes: 1, shmBytes: 0, gpuUuids: [] },
    ...{ acceptUntilMs: 1, stateSinceMs: 1 },
  } as unknown as Placement
}

const arbitraryPlacement = fc
  .tuple(fc.nat(2), fc.nat(1), fc.constantFrom('ordered', 'running', 'downloading'))
  .map((args) => placement(...args))
const arbitraryRecord = fc
  .record({
    group: fc.constantFrom(...groups),
    number: fc.nat(3),
    placement: fc.option(arbitraryPlacement, { nil: undefined }),
    leaving: fc.array(arbitraryPlacement, { maxLength: 2 }),
  })
  .map(
    ({ group, number, placement: at, leaving }): SlotRecord => ({
      ...emptySlot(`${group}/${number}` as SlotId),
      ...(at ? { placement: at } : {}),
      leaving: leaving.map(
        (old): Leaving => ({ ...old, why: 'revoked', reason: 'x', sinceMs: 1, leaseEndMs: 1 }),
      ),
    }),
  )

/** The indices as they are, in an order of their own. */
function indicesOf(book: SlotBook): unknown {
  const on = nodes.map((node) => [...book.on(node)].map(({ slot }) => slot).sort())
  const [bundlesHeld, starting] = [[...book.bundles].sort(), [...book.starting].sort()]
  return { on, bundlesHeld, starting, sizes: groups.map((group) => book.sizeOf(group)) }
}

describe('coordinator/reconciler/slot-book', () => {
  it('keeps its indices as they would be after a restart, whatever is written or retired', async () => {
    const change = fc.oneof(arbitraryRecord, fc.constantFrom(...groups))
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 20 }), async (changes) => {
        const store = createMemoryStore()
        const book = await openSlotBook({ store })
        let told = 0
        book.onChange(() => told++)
        let written = 0
        for (const item of changes) {
          if (typeof item === 'string') {
            written += book.sizeOf(item)
            await book.retire(item, 1)
          } else {
            written++
            await book.commit([item])
          }
        }
        expect(told).to.equal(written)
        expect(indicesOf(book)).to.deep.equal(indicesOf(await openSlotBook({ store })))
      }),
      { numRuns: 100 },
    )
  })
})

describe('coordinator/reconciler/holders', () => {
  const bundle = bundles[0] as BundleId
  const state = (node: PeerId, changes = {}) => ({
    ...{ node, connected: true, isHere: true, addrs: [`/dns4/${node}/tcp/1`] },
    ...{ bundles: new Set<BundleId>(), ...changes },
  })
  const open = (count: number, held = new Set([bundle])) => {
    const swarm = new Map(
      Array.from({ length: count }, (_, at) => {
        const node = `node-${at}` as PeerId
        return [node, state(node, { bundles: held })] as const
      }),
    )
    const caches = new Map([['cache' as PeerId, state('cache' as PeerId, { bundles: held })]])
    const book = { slots: new Map(), starting: new Set<SlotId>(), on: () => [] }
    const sessions = { nodes: swarm, caches, send: () => true } as never
    return { holders: createHolders({ book, sessions }), swarm }
  }
  const peersOf = (hints: readonly Readonly<{ peer: PeerId }>[]) => hints.map(({ peer }) => peer)

  it('names caches first, then others up to 32, the same ones each time, never the audience', () => {
    const { holders, swarm } = open(200)
    const told = peersOf(holders.hintsFor(bundle, 'node-7' as PeerId))
    expect(told).to.have.length(32)
    expect(new Set(told).size).to.equal(32)
    expect(told[0]).to.equal('cache')
    expect(told).to.not.include('node-7')
    expect(peersOf(holders.hintsFor(bundle, 'node-7' as PeerId))).to.deep.equal(told)
    // All in all everybody is named about as often.
    const named = new Map<PeerId, number>()
    for (const audience of swarm.keys()) {
      for (const peer of peersOf(holders.hintsFor(bundle, audience))) {
        named.set(peer, (named.get(peer) ?? 0) + 1)
      }
    }
    expect(named.size).to.equal(201)
  })

  it('names who is to hold a bundle at once, and nobody who holds it no more or is gone', () => {
    const { holders, swarm } = open(3, new Set())
    const hints = () => peersOf(holders.hintsFor(bundle, 'other' as PeerId)).sort()
    expect(hints()).to.deep.equal([])
    holders.add('node-1' as PeerId, bundle)
    expect(hints()).to.deep.equal(['node-1'])
    Object.assign(swarm.get('node-2' as PeerId) ?? {}, { bundles: new Set([bundle]) })
    holders.touch('node-2' as PeerId)
    expect(hints()).to.deep.equal(['node-1', 'node-2'])
    holders.touch('node-1' as PeerId) // no record names it
    Object.assign(swarm.get('node-2' as PeerId) ?? {}, { isHere: false })
    expect(hints()).to.deep.equal([])
  })
})
