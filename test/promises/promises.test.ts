/** What leases.md promises when homes vanish and coordinators die, over hours of a clock of its own. */
import { expect } from 'chai'
import { World } from './world.ts'

describe('promises', () => {
  let world: World
  const open = async (nodes: number): Promise<void> => {
    world = await World.open(nodes)
    await world.startCoordinator()
  }
  const allOnce = (): void => {
    for (const [slot, nodes] of world.running()) expect(nodes, slot).to.have.length(1)
  }
  afterEach(() => world.close())

  it('an hour without the coordinator: all run on, and are renewed at the same epoch', async () => {
    await open(6)
    world.addGroup(10, { replicas: 4 })
    await world.run(60)
    const before = world.instances()
    expect(before).to.have.length(4)
    const { ordered } = world

    await world.stopCoordinator()
    for (let minute = 1; minute < 60; minute++) {
      await world.run(60)
      expect(world.instances(), `minute ${minute}`).to.deep.equal(before)
      const nowMs = world.clock.nowMs()
      for (const node of world.nodes) {
        for (const { stopAtMs } of node.guarded.values()) {
          // Extended by the living daemon, and by no more than a minute at a time.
          expect(stopAtMs).to.be.within(nowMs, nowMs + 61_000)
        }
      }
    }
    await world.startCoordinator()
    await world.run(180)
    expect(world.coordinator?.settled()).to.equal(true)
    expect(world.instances()).to.deep.equal(before)
    expect(world.ordered, 'nothing was ordered anew').to.equal(ordered)
    allOnce()
  }).timeout(120_000)

  it('longer than orphan_after: they stop, and start again when it is back', async () => {
    await open(5)
    world.addGroup(10, {
      replicas: 3,
      extension: { lostAfterMs: 0, orphanAfterMs: 600_000, strict: false },
    })
    await world.run(60)
    await world.stopCoordinator()
    await world.run(590)
    expect(world.instances()).to.have.length(3)
    await world.run(60)
    expect(world.instances()).to.have.length(0)
    await world.startCoordinator()
    await world.run(180)
    expect(world.instances()).to.have.length(3)
    allOnce()
  }).timeout(60_000)

  it('strict: stops at the lapse, and starts again on the same nodes under a new epoch', async () => {
    await open(6)
    world.addGroup(10, {
      replicas: 3,
      extension: { lostAfterMs: 0, orphanAfterMs: 3_600_000, strict: true },
    })
    await world.run(60)
    const before = [...world.running()].map(([slot, [node]]) => `${slot} ${node?.peer}`).sort()
    expect(before).to.have.length(3)
    await world.stopCoordinator()
    await world.run(20)
    expect(world.instances()).to.have.length(0)
    await world.run(300)
    await world.startCoordinator()
    await world.run(120)
    const after = [...world.running()].map(([slot, [node]]) => `${slot} ${node?.peer}`).sort()
    expect(after).to.deep.equal(before)
    expect(world.instances().every((text) => text.includes('/') && !text.includes(' 1 '))).to.equal(
      true,
    )
    allOnce()
  }).timeout(60_000)

  it('restarts and blips shorter than the lease replace nothing', async () => {
    await open(8)
    world.addGroup(10, { replicas: 6 })
    await world.run(60)
    const before = world.instances()
    const { ordered } = world
    for (let times = 0; times < 5; times++) {
      await world.stopCoordinator()
      await world.run(times * 20)
      await world.startCoordinator()
      await world.run(90)
      world.cut.add(world.nodes[times] as never)
      await world.run(9)
      world.cut.clear()
      await world.run(30)
    }
    expect(world.instances()).to.deep.equal(before)
    expect(world.ordered).to.equal(ordered)
  }).timeout(60_000)

  it('a restart waits for nodes that need most of its reconnect window', async () => {
    await open(8)
    world.addGroup(10, { replicas: 4 })
    await world.run(60)
    const before = world.instances()
    const { ordered } = world
    await world.stopCoordinator()
    await world.startCoordinator()
    const late = [...world.running().values()].slice(0, 2).map(([node]) => node)
    for (const node of late) if (node) world.cut.add(node)
    await world.run(55)
    expect(world.coordinator?.settled()).to.equal(false)
    world.cut.clear()
    await world.run(60)
    expect(world.coordinator?.settled()).to.equal(true)
    expect(world.instances()).to.deep.equal(before)
    expect(world.ordered).to.equal(ordered)
  }).timeout(60_000)

  it('a home that is cut off stops soon after it is replaced, for it hears that others go on', async () => {
    await open(5)
    world.addGroup(10, { replicas: 1 })
    await world.run(60)
    const [cut] = [...world.running().values()][0] ?? []
    if (!cut) throw new Error('nothing runs')
    world.cut.add(cut)
    let overlapS = 0
    for (let second = 0; second < 150; second++) {
      await world.run(1)
      for (const nodes of world.running().values()) if (nodes.length > 1) overlapS++
    }
    // lease + skew until it is replaced, and a minute for which the own line may be down.
    expect(overlapS).to.be.below(60)
    const [now] = [...world.running().values()]
    expect(now).to.have.length(1)
    expect(now?.[0]).to.not.equal(cut)
  }).timeout(60_000)

  it('mass silence is held, not replaced: the coordinator’s own line was cut', async () => {
    await open(16)
    world.addGroup(10, { replicas: 12 })
    await world.run(90)
    const before = world.instances()
    expect(before).to.have.length(12)
    const { ordered } = world
    // Nodes go on hearing one another: their line is up, and no later pulse comes.
    const { coordinator } = world
    world.coordinator = undefined
    for (const state of coordinator?.sessions.values() ?? []) state.connected = false
    await world.run(120)
    expect(coordinator?.reconciler.holding).to.equal(true)
    expect(world.instances()).to.deep.equal(before)
    world.coordinator = coordinator
    await world.run(30)
    expect(coordinator?.reconciler.holding).to.equal(false)
    expect(world.instances()).to.deep.equal(before)
    expect(world.ordered).to.equal(ordered)
    allOnce()
  }).timeout(60_000)

  it('a hold outlives a restart of the coordinator, and its reconnect window', async () => {
    await open(16)
    world.addGroup(10, { replicas: 12 })
    await world.run(90)
    const before = world.instances()
    const { ordered, coordinator } = world
    const isolate = (): void => {
      const running = world.coordinator
      world.coordinator = undefined
      for (const state of running?.sessions.values() ?? []) state.connected = false
    }
    isolate()
    await world.run(60)
    expect(coordinator?.reconciler.holding).to.equal(true)
    await coordinator?.stop()
    await world.startCoordinator()
    const second = world.coordinator
    isolate()
    expect(second?.reconciler.holding).to.equal(true)
    await world.run(300)
    expect(second?.settled()).to.equal(true)
    expect(second?.reconciler.holding).to.equal(true)
    expect(world.ordered).to.equal(ordered)
    world.coordinator = second
    await world.run(30)
    expect(second?.reconciler.holding).to.equal(false)
    expect(world.instances()).to.deep.equal(before)
    expect(world.ordered).to.equal(ordered)
  }).timeout(60_000)

  it('an update serves N throughout, and a strict one N − 1 with never two of a slot', async () => {
    for (const strict of [false, true]) {
      const group = strict ? 11 : 10
      if (!strict) await open(9)
      for (const node of world.nodes) node.pullMs = 1
      const extension = { lostAfterMs: 0, orphanAfterMs: 3_600_000, strict }
      const id = world.addGroup(group, { replicas: 3, extension })
      const own = () => [...world.running()].filter(([slot]) => slot.startsWith(id))
      await world.run(60)
      expect(own()).to.have.length(3)
      const old = new Set(world.instances())
      // Longer than a lease: the old one must be renewed meanwhile.
      for (const node of world.nodes) node.pullMs = 90_000
      world.addGroup(group, { replicas: 3, extension, version: 2 })
      let least = 3
      let most = 0
      for (let second = 0; second < 420; second++) {
        await world.run(1)
        least = Math.min(least, own().length)
        for (const [, nodes] of own()) most = Math.max(most, nodes.length)
      }
      expect(least, `strict: ${strict}`).to.equal(strict ? 2 : 3)
      expect(most).to.equal(strict ? 1 : 2)
      expect(own()).to.have.length(3)
      expect(
        world.instances().filter((text) => text.startsWith(id) && old.has(text)),
      ).to.deep.equal([])
    }
    allOnce()
  }).timeout(60_000)

  it('an update without a spare node goes on with one less', async () => {
    await open(3)
    const id = world.addGroup(10, { replicas: 3 })
    await world.run(60)
    const old = new Set(world.instances())
    world.addGroup(10, { replicas: 3, version: 2 })
    let least = 3
    for (let second = 0; second < 240; second++) {
      await world.run(1)
      least = Math.min(least, world.running().size)
    }
    expect(least).to.equal(2)
    expect(world.instances().filter((text) => text.startsWith(id))).to.have.length(3)
    expect(world.instances().filter((text) => old.has(text))).to.deep.equal([])
  }).timeout(60_000)

  it('a node that dies is replaced within lease, skew and a few seconds', async () => {
    await open(12)
    world.addGroup(10, { replicas: 4 })
    await world.run(60)
    const [dead] = [...world.running().values()][0] ?? []
    if (!dead) throw new Error('nothing runs')
    dead.isDead = true
    const state = world.coordinator?.sessions.get(dead.peer)
    if (state) state.connected = false
    let seconds = 0
    while (world.running().size < 4 && seconds < 60) {
      await world.run(1)
      seconds++
    }
    expect(seconds).to.be.at.most(15 + 2 + 5)
    expect(world.coordinator?.reconciler.holding).to.equal(false)
  }).timeout(60_000)
})
