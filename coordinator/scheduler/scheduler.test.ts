import { expect } from 'chai'
import fc from 'fast-check'
import type { BundleId, GroupId, PeerId, SlotId } from '../../protocol/ids.ts'
import { emptySlot, type GroupTarget, type NodeView, type SlotRecord } from '../slots/index.ts'
import { allProblems } from './filters.ts'
import {
  type ChooseContext,
  chooseNode,
  choosePreemption,
  describeExplanation,
  explainPlacement,
  Fleet,
  keepNodes,
  planUsage,
  rankOf,
  spreadOf,
} from './index.ts'

const group = '00000000-0000-4000-8000-000000000001' as GroupId
const bundle = 'b'.repeat(64) as BundleId
const mib = 2 ** 20
const target: GroupTarget = {
  ...{ group, version: 1, replicas: 1, deleted: false, bundle, milliCpus: 1_000 },
  ...{ memoryBytes: 1_000 * mib, storageBytes: 1_000, shmBytes: 0, needsEnv: false },
  ...{ restart: 'always', lostAfterMs: 0, orphanAfterMs: 0 },
}
const gpu = (uuid: string, name: string, vramBytes: number) => ({
  ...{ uuid, name, vramBytes, driver: '1' },
})

function view(name: string, changes: Partial<NodeView> = {}, lends = {}): NodeView {
  return {
    ...{ node: name as PeerId, household: name, connected: true, departed: false, banned: false },
    ...{ keys: 4, bundles: new Set(), held: new Map(), acknowledged: new Map() },
    refusals: new Map(),
    capacity: {
      ...{ milliCpus: 2_000, memoryBytes: 2_000 * mib, storageBytes: 2_000, gpus: [] },
      ...{ region: 'local', versions: {}, allocationsMax: 1, envAllowed: true, ...lends },
    },
    ...changes,
  }
}

/** `placed`: who stands where already, as `[slot, node]`. */
function contextOf(
  views: readonly NodeView[],
  { placed = [], records = [] }: { placed?: PeerId[]; records?: SlotRecord[] } = {},
): ChooseContext {
  const nodes = new Map(views.map((item) => [item.node, item]))
  const fleet = new Fleet({
    nodes,
    recordsOn: (node) =>
      records.filter(
        ({ placement, leaving }) =>
          placement?.node === node || leaving.some((old) => old.node === node),
      ),
  })
  return {
    ...{ fleet, usage: planUsage((node) => fleet.get(node)?.usage) },
    ...{ excluded: new Set<PeerId>(), keysPlanned: new Map() },
    spread: spreadOf(placed, (node) => fleet.get(node)?.domains),
  }
}

const choose = (views: readonly NodeView[], wanted = target, more: Partial<ChooseContext> = {}) =>
  chooseNode(wanted, { ...contextOf(views), ...more })

const explain = (views: readonly NodeView[], wanted = target) =>
  explainPlacement(wanted, contextOf(views))

function placedOn(
  node: string,
  number: number,
  changes: Partial<NonNullable<SlotRecord['placement']>> = {},
  of = '00000000-0000-4000-8000-000000000009',
): SlotRecord {
  const slot = `${of}/${number}` as SlotId
  const resources = { milliCpus: 1_000, memoryBytes: 1_000 * mib, storageBytes: 0, shmBytes: 0 }
  const placement = {
    ...{ fence: { term: 1, epoch: 1 }, node, issuedMs: 0, state: 'running' },
    ...{ resources: { ...resources, gpuUuids: [] }, ...changes },
  } as never
  return { ...emptySlot(slot), placement }
}

describe('coordinator/scheduler', () => {
  it('counts each node under the first filter that removes it', () => {
    const wanted = { ...target, needsEnv: true, sensitive: true, countries: new Set(['de']) }
    const de = { country: 'de' }
    const choice = explain(
      [
        view('a', { connected: false }),
        view('b', { banned: true }),
        view('c', { keys: 0 }),
        view('d', de, { milliCpus: 500 }),
        view('e', de, { memoryBytes: 500 }),
        view('f', de, { storageBytes: 500 }),
        view('g', de, { envAllowed: false }),
        view('h', de, { allocationsMax: 0 }),
        view('i', { country: 'fr' }),
        view('j'),
        view('k', { ...de, probation: true }),
        view('l', de, { accepts: { gpuJobs: true, cpuJobs: false, minMicrosPerHour: 0 } }),
        view('m', de, { accepts: { gpuJobs: true, cpuJobs: true, minMicrosPerHour: 5 } }),
      ],
      { ...wanted, microsPerHour: 4 },
    )
    expect(choice.best).to.deep.equal([])
    expect(describeExplanation(choice)).to.equal(
      'no node fits now (13 known: 1 away, 1 banned, 1 no keys, 1 env not allowed, 2 country, ' +
        '1 probation, 1 chef takes no such jobs, 1 price, 1 allocations full, 1 CPU, 1 memory, ' +
        '1 storage)',
    )
  })

  it('says what would help: filters that alone keep nodes out', () => {
    const small = [view('a', {}, { memoryBytes: 5 }), view('b', {}, { memoryBytes: 5 })]
    const both = view('c', {}, { memoryBytes: 5, milliCpus: 5 })
    const { help, removed } = explain([...small, both, view('d', { connected: false })])
    expect([...removed]).to.deep.equal([
      ['memory', 2],
      ['CPU', 1],
      ['away', 1],
    ])
    expect(help.map(({ reason, nodes }) => [reason, nodes])).to.deep.equal([
      ['memory', 2],
      ['away', 1],
    ])
    expect(help[0]?.text).to.equal('ask for less memory')
  })

  it('gives exactly one free GPU that fits, the smallest', () => {
    const gpus = [gpu('GPU-1', 'big', 80), gpu('GPU-2', 'small', 24), gpu('GPU-3', 'other', 8)]
    const wanted = { ...target, gpuFits: ({ name }: { name: string }) => name !== 'other' }
    expect(choose([view('a', {}, { gpus })], wanted).gpuUuids).to.deep.equal(['GPU-2'])
    const roomy = view('a', {}, { gpus, allocationsMax: 3 })
    const taken = (...gpuUuids: string[]) => {
      const resources = { milliCpus: 0, memoryBytes: 0, storageBytes: 0, shmBytes: 0, gpuUuids }
      return contextOf([roomy], { records: [placedOn('a', 0, { resources })] })
    }
    expect(chooseNode(wanted, taken('GPU-2')).gpuUuids).to.deep.equal(['GPU-1'])
    expect(chooseNode(wanted, taken('GPU-2', 'GPU-1')).node).to.equal(undefined)
    expect(explainPlacement(wanted, taken('GPU-2', 'GPU-1')).removed.get('GPU in use')).to.equal(1)
    expect(explain([view('a')], wanted).removed.get('GPU')).to.equal(1)
  })

  it('spreads over households, then prefers who has the image, then leaves GPUs alone', () => {
    const twin = view('a', { household: 'home', bundles: new Set([bundle]) })
    const other = view('z', { household: 'home' })
    const context = contextOf([twin, other, view('b')], { placed: [other.node] })
    expect(chooseNode(target, context).node).to.equal('b')
    expect(choose([view('a'), view('b', { bundles: new Set([bundle]) })]).node).to.equal('b')
    expect(choose([view('a'), view('b', { partial: new Set([bundle]) })]).node).to.equal('b')
    const rich = view('a', {}, { gpus: [gpu('GPU-1', 'big', 80)] })
    expect(choose([rich, view('b')]).node).to.equal('b')
  })

  it('counts one /24, one IPv6 /48 and one owner as one place, but not one LAN', () => {
    const at = (household: string, owner?: string) => ({ household, owner })
    const pairs = [
      [at('8.8.4.1'), at('8.8.4.9'), at('8.8.5.9')],
      [at('2a01:4f8:1:2::/64'), at('2a01:4f8:1:9::/64'), at('2a01:4f8:2:9::/64')],
      [at('8.8.4.1', 'mo'), at('9.9.9.9', 'mo'), at('9.9.9.9', 'jo')],
    ] as const
    for (const [first, near, far] of pairs) {
      const held = new Set([bundle])
      const views = [view('a', first), view('b', { ...near, bundles: held }), view('c', far)]
      const context = contextOf(views, { placed: ['a' as PeerId] })
      const { best } = explainPlacement(target, context)
      expect(best[0]?.node, near.household).to.equal('c')
    }
    const lan = [view('a', at('10.0.0.1')), view('b', { ...at('10.0.0.2'), keys: 4 })]
    const { best } = explainPlacement(target, contextOf(lan, { placed: ['a' as PeerId] }))
    expect(best[0]?.parts.spread).to.equal(0)
  })

  it('prefers machines that stayed, unless another holds the image', () => {
    expect(
      choose([view('a', { reliability: 0.2 }), view('b', { reliability: 0.9 })]).node,
    ).to.equal('b')
    expect(choose([view('a', { reliability: 0.4 }), view('b')]).node, 'unknown: half').to.equal('b')
    const holder = view('a', { reliability: 0, bundles: new Set([bundle]) })
    expect(choose([holder, view('b', { reliability: 1 })]).node).to.equal('a')
  })

  const line = (upMbps: number, downMbps: number) => ({
    link: { upBitsPerS: upMbps * 1e6, downBitsPerS: downMbps * 1e6, measuredMs: 1 },
  })

  it('holds a line to the least that a group asks for, and takes no node’s word for it', () => {
    const wanted = { ...target, minUpBitsPerS: 10e6, minDownBitsPerS: 50e6 }
    const views = [
      view('a'),
      view('b', line(9, 900)),
      view('c', line(900, 49)),
      view('d', line(10, 50)),
    ]
    expect(choose(views, wanted).node).to.equal('d')
    expect(describeExplanation(explain(views, wanted))).to.contain(
      '1 link not measured, 1 upload speed, 1 download speed',
    )
    expect(choose(views.slice(0, 3), wanted).node).to.equal(undefined)
    expect(choose([view('a')]).node, 'without a minimum any line will do').to.equal('a')
  })

  it('prefers well-connected homes among equals, not before spread and image', () => {
    expect(choose([view('a', line(2, 20)), view('b', line(40, 400))]).node).to.equal('b')
    expect(choose([view('a'), view('b', line(2, 20))]).node).to.equal('b')
    const holder = view('a', { bundles: new Set([bundle]) })
    expect(choose([holder, view('b', line(1_000, 1_000))]).node).to.equal('a')
  })

  it('tries a node where it failed last, but rather than nowhere', () => {
    const excluded = new Set(['a' as PeerId])
    expect(choose([view('a'), view('b')], target, { excluded }).node).to.equal('b')
    expect(choose([view('a')], target, { excluded }).node).to.equal('a')
  })

  it('never puts two of a group on a node, also when nobody ordered what runs there', () => {
    const report = { slot: `${group}/7`, term: 1, epoch: 3 } as never
    const held = new Map([[`${group}/7`, { fence: { term: 1, epoch: 3 }, report }]]) as never
    const busy = view('a', { held }, { allocationsMax: 4 })
    expect(explain([busy]).removed.get('runs this group already')).to.equal(1)
  })

  it('finds a node whenever one fits, wherever it begins and however nodes change', () => {
    const kinds = [[], [gpu('GPU-1', 'x', 8)], [gpu('GPU-1', 'y', 24), gpu('GPU-2', 'x', 8)]]
    const arbitraryNode = fc.record({
      milliCpus: fc.nat(8_000),
      memoryMib: fc.nat(8_000),
      gpus: fc.constantFrom(...kinds),
      allocationsMax: fc.nat(2),
      connected: fc.boolean(),
    })
    fc.assert(
      fc.property(
        fc.array(arbitraryNode, { maxLength: 60 }),
        fc.array(arbitraryNode, { maxLength: 20 }),
        fc.record({ milliCpus: fc.nat(8_000), memoryMib: fc.nat(8_000), wantsGpu: fc.boolean() }),
        fc.nat(),
        (before, after, wish, draw) => {
          const nodes = new Map<PeerId, NodeView>()
          const fleet = new Fleet({ nodes, recordsOn: () => [] })
          for (const [at, { memoryMib, connected, ...lends }] of [...before, ...after].entries()) {
            const name = `node-${at % Math.max(1, before.length)}`
            const memoryBytes = memoryMib * mib
            nodes.set(name as PeerId, view(name, { connected }, { ...lends, memoryBytes }))
            fleet.refresh(name as PeerId)
          }
          const { milliCpus, memoryMib, wantsGpu } = wish
          const wanted: GroupTarget = {
            ...{ ...target, milliCpus, memoryBytes: memoryMib * mib },
            ...(wantsGpu ? { gpuFits: ({ name }: { name: string }) => name === 'x' } : {}),
          }
          const context = { ...contextOf([]), fleet, usage: planUsage((n) => fleet.get(n)?.usage) }
          const { node } = chooseNode(wanted, context, draw)
          const { fitting } = explainPlacement(wanted, context)
          expect(node !== undefined).to.equal(fitting > 0)
          if (node === undefined) return
          const chosen = nodes.get(node) as NodeView
          const used = context.usage.of(node)
          expect(allProblems({ view: chosen, target: wanted, used, keysPlanned: 0 })).to.deep.equal(
            [],
          )
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('coordinator/scheduler: preemption', () => {
  const other = '00000000-0000-4000-8000-000000000009' as GroupId
  const third = '00000000-0000-4000-8000-000000000008' as GroupId
  const high: GroupTarget = { ...target, rank: 3 }
  const world = (ranks: Readonly<Record<string, number>>, nowMs = 10_000_000) => ({
    groups: new Map(
      Object.entries(ranks).map(([id, rank]) => [id as GroupId, { ...target, rank }]),
    ),
    ...{ nowMs, preemption: { minRunMs: 1_800_000 } },
  })
  const victimsOf = (
    records: SlotRecord[],
    at: ReturnType<typeof world>,
    wanted = high,
    views = [view('a'), view('b')],
  ) => {
    const found = choosePreemption(wanted, contextOf(views, { records }), at, new Set())
    return found && [found.node, ...found.victims.map(({ slot }) => slot)]
  }

  it('ranks GPU groups by priority, and CPU-only groups below them all', () => {
    const order = [
      rankOf('high', true),
      rankOf('medium', true),
      rankOf('low', true),
      rankOf('batch', true),
      rankOf('high', false),
      rankOf(undefined, false),
    ]
    expect(order).to.deep.equal([...order].sort((a, b) => b - a))
    expect(rankOf(undefined, true)).to.equal(rankOf('batch', true))
  })

  it('takes the lowest rank, then the least deletion cost, then the youngest', () => {
    const ranks = { [other]: 1, [third]: 0 }
    const records = [placedOn('a', 0), placedOn('b', 0, {}, third)]
    expect(victimsOf(records, world(ranks))).to.deep.equal(['b', `${third}/0`])
    const costs = [placedOn('a', 0, { deletionCost: 5 }), placedOn('b', 1, { deletionCost: 4 })]
    expect(victimsOf(costs, world(ranks))).to.deep.equal(['b', `${other}/1`])
    const ages = [placedOn('a', 0, { issuedMs: 5 }), placedOn('b', 1, { issuedMs: 4 })]
    expect(victimsOf(ages, world(ranks))).to.deep.equal(['a', `${other}/0`])
  })

  it('leaves alone equals, higher ones, and who has not had the least time yet', () => {
    const records = [placedOn('a', 0)]
    expect(victimsOf(records, world({ [other]: 3 }))).to.equal(undefined)
    expect(victimsOf(records, world({ [other]: 4 }))).to.equal(undefined)
    expect(victimsOf(records, world({ [other]: 1 }, 1_799_999))).to.equal(undefined)
    expect(victimsOf(records, world({ [other]: 1 }, 1_800_000))).to.not.equal(undefined)
    expect(victimsOf(records, world({ [other]: 1 }), { ...target, rank: 0 })).to.equal(undefined)
  })

  it('displaces nobody where that would not help', () => {
    const records = [placedOn('a', 0)]
    const needsMore = { ...high, milliCpus: 3_000 }
    expect(victimsOf(records, world({ [other]: 1 }), needsMore)).to.equal(undefined)
    const abroad = { ...high, countries: new Set(['de']) }
    expect(victimsOf(records, world({ [other]: 1 }), abroad)).to.equal(undefined)
  })
})

describe('coordinator/scheduler: nodes kept for who waits long', () => {
  const big: GroupTarget = { ...target, milliCpus: 2_000, rank: 1 }
  const small = { ...target, group: '00000000-0000-4000-8000-000000000007' as GroupId }
  const views = [view('a', {}, { allocationsMax: 4 }), view('b', {}, { allocationsMax: 4 })]
  const half = { milliCpus: 500, memoryBytes: 0, storageBytes: 0, shmBytes: 0, gpuUuids: [] }
  const records = [0, 1, 2].map((at) => placedOn('a', at, { resources: half }))
  const busy = [...records, placedOn('b', 5, { resources: half })]

  it('keeps the node that has least to lose, for the longest waiting of a rank, and stays with it', () => {
    const { fleet } = contextOf(views, { records: busy })
    const waiting = [[big, 300_001] as const, [{ ...small, rank: 1 }, 300_000] as const]
    const kept = keepNodes(waiting, fleet, new Map())
    expect([...kept]).to.deep.equal([['b', { group, rank: 1 }]])
    expect(keepNodes([[big, 300_000]], fleet, new Map()).size, 'not yet').to.equal(0)
    const before = new Map([['a' as PeerId, { group, rank: 1 }]])
    expect([...keepNodes(waiting, fleet, before).keys()]).to.deep.equal(['a'])
    const huge = { ...big, milliCpus: 9_000 }
    expect(keepNodes([[huge, 400_000]], fleet, new Map()).size, 'fits nowhere ever').to.equal(0)
  })

  it('lets no group that stands no higher onto it, and the one that waits', () => {
    const context = contextOf(views.slice(1), { records: busy })
    const kept = new Map([['b' as PeerId, { group, rank: 1 }]])
    const usage = planUsage((node) => context.fleet.get(node)?.usage, kept)
    const choose = (wanted: GroupTarget) => chooseNode(wanted, { ...context, usage }).node
    expect(choose(small)).to.equal(undefined)
    expect(choose({ ...small, rank: 1 })).to.equal(undefined)
    expect(choose({ ...small, rank: 2 })).to.equal('b')
    expect(choose({ ...big, milliCpus: 1_500 })).to.equal('b')
  })
})
