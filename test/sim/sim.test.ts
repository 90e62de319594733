/** Short histories of small networks: no promise is broken, and a seed is one history. */
import { expect } from 'chai'
import { groupInput } from '../../coordinator/groups/groups.fixture.ts'
import { runSeed } from './run.ts'
import { Simulation } from './simulation.ts'

const minuteMs = 60_000

describe('simulation', function () {
  this.timeout(120_000)

  it('keeps every promise through half an hour of faults', async () => {
    const { violations, replacements } = await runSeed({ seed: 3, nodes: 40, hours: 0.5 })
    expect(violations).to.deep.equal([])
    expect(replacements, 'something happened').to.be.above(0)
  })

  it('repeats a seed to the letter', async () => {
    const once = await runSeed({ seed: 2, nodes: 12, hours: 0.2 })
    const again = await runSeed({ seed: 2, nodes: 12, hours: 0.2 })
    expect(again.traceHash).to.equal(once.traceHash)
    const other = await runSeed({ seed: 3, nodes: 12, hours: 0.2 })
    expect(other.traceHash).not.to.equal(once.traceHash)
  })

  it('runs on through fifty minutes without a coordinator, and is taken back as it was', async () => {
    const world = await Simulation.create({ seed: 4, nodes: 30 })
    void world.start()
    await world.run(40_000)
    void world.coordinator.create(groupInput({ replicas: 12 }))
    await world.run(5 * minuteMs)
    const before = new Map(world.nodes.map((node) => [node, [...node.running.keys()]]))
    expect([...before.values()].flat()).to.have.length(12)
    world.coordinator.crash()
    await world.run(50 * minuteMs)
    for (const [node, instances] of before) {
      expect([...node.running.keys()], node.machine.name).to.deep.equal(instances)
    }
    void world.startCoordinator()
    await world.run(5 * minuteMs)
    for (const [node, instances] of before) {
      expect([...node.running.keys()], node.machine.name).to.deep.equal(instances)
    }
    const [group] = world.coordinator.groups?.all() ?? []
    const views = group ? (world.coordinator.plane?.view.instances(group.id) ?? []) : []
    expect(views.map(({ state }) => state)).to.deep.equal(Array(12).fill('running'))
    expect(world.checker.replacements).to.equal(0)
    expect(world.checker.violations).to.deep.equal([])
  })
})
