import { expect } from 'chai'
import type { BundleId, GroupId, PeerId } from '../../protocol/ids.ts'
import type { GroupTarget, NodeView } from '../slots/index.ts'
import { type ChooseContext, chooseNode, createUsage, describeChoice } from './index.ts'

const group = '00000000-0000-4000-8000-000000000001' as GroupId
const bundle = 'b'.repeat(64) as BundleId
const target: GroupTarget = {
  ...{ group, version: 1, replicas: 1, deleted: false, bundle, milliCpus: 1_000 },
  ...{ memoryBytes: 1_000, storageBytes: 1_000, shmBytes: 0, needsEnv: false },
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
      ...{ milliCpus: 2_000, memoryBytes: 2_000, storageBytes: 2_000, gpus: [], region: 'local' },
      ...{ versions: {}, allocationsMax: 1, envAllowed: true, ...lends },
    },
    ...changes,
  }
}

function choose(views: readonly NodeView[], wanted = target, context: Partial<ChooseContext> = {}) {
  const nodes = new Map(views.map((item) => [item.node, item]))
  const defaults = { excluded: new Set<PeerId>(), households: new Map(), keysPlanned: new Map() }
  return chooseNode(wanted, { nodes, usage: createUsage([], nodes), ...defaults, ...context })
}

describe('coordinator/scheduler', () => {
  it('counts each node under the first filter that removes it', () => {
    const { node, ...choice } = choose(
      [
        view('a', { connected: false }),
        view('b', { banned: true }),
        view('c', { keys: 0 }),
        view('d', {}, { milliCpus: 500 }),
        view('e', {}, { memoryBytes: 500 }),
        view('f', {}, { storageBytes: 500 }),
        view('g', {}, { envAllowed: false }),
        view('h', {}, { allocationsMax: 0 }),
      ],
      { ...target, needsEnv: true },
    )
    expect(node).to.equal(undefined)
    expect(describeChoice({ node, ...choice })).to.equal(
      'no node fits now (8 known: 1 away, 1 banned, 1 no keys, 1 env not allowed, ' +
        '1 allocations full, 1 CPU, 1 memory, 1 storage)',
    )
  })

  it('gives exactly one free GPU that fits, the smallest', () => {
    const gpus = [gpu('GPU-1', 'big', 80), gpu('GPU-2', 'small', 24), gpu('GPU-3', 'other', 8)]
    const wanted = { ...target, gpuFits: ({ name }: { name: string }) => name !== 'other' }
    expect(choose([view('a', {}, { gpus })], wanted).gpuUuids).to.deep.equal(['GPU-2'])
    const usage = createUsage([], new Map())
    const resources = { milliCpus: 0, memoryBytes: 0, storageBytes: 0, shmBytes: 0 }
    usage.add('a' as PeerId, '00000000-0000-4000-8000-000000000009/0' as never, {
      ...resources,
      gpuUuids: ['GPU-2'],
    })
    const roomy = view('a', {}, { gpus, allocationsMax: 2 })
    expect(choose([roomy], wanted, { usage }).gpuUuids).to.deep.equal(['GPU-1'])
    expect(choose([view('a')], wanted).removed.get('GPU')).to.equal(1)
  })

  it('spreads over households, then prefers who has the image, then leaves GPUs alone', () => {
    const households = new Map([['home', 1]])
    const twin = view('a', { household: 'home', bundles: new Set([bundle]) })
    expect(choose([twin, view('b')], target, { households }).node).to.equal('b')
    expect(choose([view('a'), view('b', { bundles: new Set([bundle]) })]).node).to.equal('b')
    const rich = view('a', {}, { gpus: [gpu('GPU-1', 'big', 80)] })
    expect(choose([rich, view('b')]).node).to.equal('b')
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
    const { node, ...choice } = choose(views, wanted)
    expect(node).to.equal('d')
    expect(describeChoice({ node, ...choice })).to.contain(
      '1 link not measured, 1 upload speed, 1 download speed',
    )
    expect(choose(views.slice(0, 3), wanted).node).to.equal(undefined)
    expect(choose([view('a')]).node, 'without a minimum any line will do').to.equal('a')
  })

  it('prefers well-connected homes among equals, not before spread, image and room', () => {
    expect(choose([view('a', line(2, 20)), view('b', line(40, 400))]).node).to.equal('b')
    expect(choose([view('a'), view('b', line(2, 20))]).node).to.equal('b')
    const fast = view('b', { ...line(1_000, 1_000), household: 'home' })
    const households = new Map([['home', 1]])
    expect(choose([view('a'), fast], target, { households }).node).to.equal('a')
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
    expect(choose([busy]).removed.get('runs this group already')).to.equal(1)
  })
})
