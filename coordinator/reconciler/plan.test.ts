import { expect } from 'chai'
import fc from 'fast-check'
import type { GroupId, SlotId } from '../../protocol/ids.ts'
import type { AgendaSizes } from './agenda.ts'
import { SlotWorld } from './plan.model.ts'

const groupId = (index: number): GroupId => `00000000-0000-4000-8000-00000000000${index}` as GroupId

type Event = Readonly<{ kind: string; at: number; value: number; seconds: number }>

function play(world: SlotWorld, { kind, at, value, seconds }: Event): void {
  if (kind === 'kill') world.kill(at)
  if (kind === 'revive') world.revive(at)
  if (kind === 'cut') world.cut(at)
  if (kind === 'heal') world.heal(at)
  if (kind === 'goodbye') world.goodbye(at)
  if (kind === 'fail') world.failContainer(at)
  if (kind === 'crash') world.crashCoordinator()
  if (kind === 'scale') world.setGroup(at % 3, { replicas: value })
  if (kind === 'update') {
    const old = world.groups.get(groupId(at % 3))
    if (old) world.setGroup(at % 3, { version: old.version + 1 })
  }
  if (kind === 'delete' && world.groups.has(groupId(at % 3))) {
    world.setGroup(at % 3, { replicas: 0, deleted: true })
  }
  if (kind === 'torn') {
    // Killed in the middle of its effects.
    world.step(value)
    world.crashCoordinator()
  }
  for (let second = 0; second < seconds; second++) world.step()
}

const kinds = ['kill', 'revive', 'cut', 'heal', 'goodbye', 'fail', 'crash', 'scale', 'update']
const event = fc.record({
  kind: fc.constantFrom(...kinds, 'delete', 'torn'),
  at: fc.nat(5),
  value: fc.nat(4),
  seconds: fc.nat(30),
})

function newWorld(sizes?: AgendaSizes): SlotWorld {
  const world = new SlotWorld(sizes)
  for (let index = 0; index < 6; index++) world.addNode(index, 2_000 + (index % 3) * 1_000)
  for (let index = 0; index < 3; index++) world.setGroup(index, { replicas: 2 })
  return world
}

describe('coordinator/reconciler: the plan', () => {
  /** Nothing by turns: news and moments alone must lead to where looking at everything leads. */
  const unpatrolled = { slotsMax: 3, patrolSlots: 0, patrolNodes: 0, waitingMax: 2 }
  const holdsItsPromises = (sizes?: AgendaSizes): void =>
    fc.assert(
      fc.property(fc.array(event, { maxLength: 25 }), (events) => {
        const world = newWorld(sizes)
        for (const item of events) {
          play(world, item)
          expect(world.problems).to.deep.equal([])
        }
        for (let index = 0; index < 6; index++) {
          world.revive(index)
          world.heal(index)
        }
        // A reconnect window, leases, the longest back-off, and rolling updates one by one.
        for (let second = 0; second < 700; second++) world.step()
        expect(world.problems).to.deep.equal([])
        for (const [group, { replicas }] of world.groups) {
          expect(world.running(group), `${group} running`).to.equal(replicas)
          expect(world.containersOf(group), `${group} containers`).to.equal(replicas)
        }
        expect(world.plan().actions).to.deep.equal([])
      }),
      { numRuns: 150 },
    )

  it('holds its promises over any history, and converges when faults stop', function () {
    this.timeout(60_000)
    holdsItsPromises()
  })

  it('does so too when only what changed is looked at, and ends where looking at all ends', function () {
    this.timeout(60_000)
    holdsItsPromises(unpatrolled)
  })

  it('gives room to higher groups first, whatever happened, and comes to rest', function () {
    this.timeout(60_000)
    fc.assert(
      fc.property(fc.array(event, { maxLength: 15 }), (events) => {
        const world = new SlotWorld(unpatrolled)
        world.minRunMs = 20_000
        // Room for six; more is wanted.
        for (let index = 0; index < 6; index++) world.addNode(index, 1_000)
        for (let index = 0; index < 3; index++) world.setGroup(index, { replicas: 4, rank: index })
        for (const item of events) {
          play(world, item.kind === 'delete' ? { ...item, kind: 'fail' } : item)
          expect(world.problems).to.deep.equal([])
        }
        for (let index = 0; index < 6; index++) {
          world.revive(index)
          world.heal(index)
        }
        for (let second = 0; second < 900; second++) world.step()
        expect(world.problems).to.deep.equal([])
        let room = 6
        for (const index of [2, 1, 0]) {
          const { replicas = 0 } = world.groups.get(groupId(index)) ?? {}
          const expected = Math.min(replicas, room)
          expect(world.running(groupId(index)), `rank ${index}`).to.equal(expected)
          room -= expected
        }
        expect(world.plan().actions).to.deep.equal([])
      }),
      { numRuns: 60 },
    )
  })

  it('preempts only what has had its time, one for one, and says why', () => {
    const world = new SlotWorld()
    world.minRunMs = 100_000
    for (let index = 0; index < 2; index++) world.addNode(index, 1_000)
    world.setGroup(0, { replicas: 2, rank: 0 })
    for (let second = 0; second < 20; second++) world.step()
    world.setGroup(1, { replicas: 1, rank: 3 })
    for (let second = 0; second < 70; second++) world.step()
    expect(world.running(groupId(1)), 'protected').to.equal(0)
    for (let second = 0; second < 30; second++) world.step()
    expect(world.running(groupId(1))).to.equal(1)
    expect(world.running(groupId(0))).to.equal(1)
    const [first] = world.handedOut.get(`${groupId(1)}/0` as SlotId) ?? []
    for (let second = 0; second < 300; second++) world.step()
    expect(world.running(groupId(0)), 'and no more than needed').to.equal(1)
    expect(world.handedOut.get(`${groupId(1)}/0` as SlotId)).to.deep.equal([first])
  })

  it('scales down by deletion cost, and by number where costs are equal', () => {
    const world = newWorld()
    world.setGroup(0, { replicas: 4 })
    for (let second = 0; second < 20; second++) world.step()
    const slot = `${groupId(0)}/3` as SlotId
    world.setCost(slot, 7)
    world.setGroup(0, { replicas: 2 })
    for (let second = 0; second < 20; second++) world.step()
    const kept = [...world.slots.values()]
      .filter(({ slot: own, placement }) => placement && own.startsWith(groupId(0)))
      .map(({ slot: own }) => own)
    expect(kept.sort()).to.deep.equal([`${groupId(0)}/0`, slot])
    world.setGroup(0, { replicas: 3 })
    for (let second = 0; second < 20; second++) world.step()
    expect(world.running(groupId(0))).to.equal(3)
  })

  it('replaces nothing over a restart of the coordinator', () => {
    const world = newWorld()
    for (let second = 0; second < 20; second++) world.step()
    const before = [...world.slots.values()].map(({ placement }) => placement?.instance)
    expect(before).to.have.length(6)
    world.crashCoordinator()
    for (let second = 0; second < 200; second++) world.step()
    const after = [...world.slots.values()].map(({ placement }) => placement?.instance)
    expect(after).to.deep.equal(before)
    expect([...world.handedOut.values()].map((all) => all.length)).to.deep.equal([1, 1, 1, 1, 1, 1])
  })

  it('gives the slot back, container untouched, to a node that returns first', () => {
    const world = new SlotWorld()
    world.addNode(0, 1_000)
    world.setGroup(1, { replicas: 1 })
    for (let second = 0; second < 10; second++) world.step()
    const [before] = [...world.slots.values()]
    world.cut(0)
    for (let second = 0; second < 30; second++) world.step() // lapsed; nobody else has room
    expect([...world.slots.values()][0]?.placement).to.equal(undefined)
    world.heal(0)
    for (let second = 0; second < 10; second++) world.step()
    const [after] = [...world.slots.values()]
    expect(after?.placement?.instance).to.equal(before?.placement?.instance)
    expect(after?.fence?.epoch).to.equal(2)
    expect(world.running(groupId(1))).to.equal(1)
  })

  it('leaves the slot to a replacement that runs when the lost node returns', () => {
    const world = new SlotWorld()
    world.addNode(0, 1_000)
    world.addNode(1, 1_000)
    world.setGroup(1, { replicas: 1 })
    for (let second = 0; second < 10; second++) world.step()
    const [lost] = [...world.slots.values()]
    const index = lost?.placement?.node === 'node-0' ? 0 : 1
    world.cut(index)
    for (let second = 0; second < 40; second++) world.step() // lapsed, replaced, not yet stopped
    const [replaced] = [...world.slots.values()]
    expect(replaced?.placement?.node).not.to.equal(lost?.placement?.node)
    expect(replaced?.placement?.state).to.equal('running')
    expect(world.containersOf(groupId(1))).to.equal(2)
    world.heal(index)
    for (let second = 0; second < 10; second++) world.step()
    const [after] = [...world.slots.values()]
    expect(after?.placement).to.deep.equal(replaced?.placement)
    expect(world.containersOf(groupId(1))).to.equal(1)
  })
})
