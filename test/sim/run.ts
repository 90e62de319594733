/** One seed from beginning to end: start, faults and requests for some hours, healing, and the count. */
import { planFaults, usualRates } from './faults.ts'
import { Simulation } from './simulation.ts'
import { createGroups, planRequests } from './tenant.ts'

const hourMs = 3_600_000
/** Until all homes are up and every group runs for the first time. */
const settleMs = 400_000
/** After the last fault is over all slots must run again within it. */
const healMs = 600_000

export type SeedResult = Readonly<{
  nodeHours: number
  violations: readonly string[]
  traceHash: string
  trace: readonly string[]
  replacements: number
}>

/** @param keepsTrace whether the history is kept line by line, for a seed that failed */
export async function runSeed(
  init: Readonly<{ seed: number; nodes: number; hours: number; keepsTrace?: boolean }>,
): Promise<SeedResult> {
  const world = await Simulation.create(init)
  const { timeline, checker } = world
  void world.start()
  await world.run(40_000)
  void createGroups(world)
  await world.run(settleMs)
  const untilMs = timeline.nowMs + init.hours * hourMs
  planFaults(world, usualRates, untilMs)
  planRequests(world, untilMs)
  await world.run(init.hours * hourMs)
  await world.run(healMs)
  for (const { id, name, replicas } of world.coordinator.groups?.all() ?? []) {
    const running = checker.runningOf(id)
    if (running === replicas) continue
    checker.violated('not back to N', `${name}: ${running} of ${replicas} run`)
  }
  if (!world.coordinator.isUp) checker.violated('the coordinator is down', 'nobody started it')
  return {
    nodeHours: (init.nodes * timeline.nowMs) / hourMs,
    violations: [...checker.violations, ...checker.needless].map(
      ({ atMs, what, slot = '', detail }) => `${atMs} ${what}: ${slot} ${detail}`,
    ),
    traceHash: world.traceHash(),
    trace: world.trace,
    replacements: checker.replacements,
  }
}
