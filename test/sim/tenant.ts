/**
 * What tenants do meanwhile: groups of each kind, scaled, updated, stopped and started now and
 * then. Each request counts from its answer on; what the coordinator forgot of it is a violation.
 */
import { groupInput } from '../../coordinator/groups/groups.fixture.ts'
import type { Simulation } from './simulation.ts'

const minuteMs = 60_000
/** Between two requests of the tenants. */
const requestEveryMs = 12 * minuteMs

/** Of all nodes, what the groups want together: there must be room for replacements. */
const groups = [
  { name: 'plain', share: 0.25, extension: {} },
  { name: 'strict', share: 0.1, extension: { strict: true } },
  { name: 'patient', share: 0.05, extension: { lostAfterMs: minuteMs } },
] as const

/** Creates the groups. */
export async function createGroups(world: Simulation): Promise<void> {
  for (const { name, share, extension } of groups) {
    const plain = groupInput()
    await world.coordinator.create({
      ...plain,
      name,
      replicas: Math.max(1, Math.floor(world.nodes.length * share)),
      extension: { ...plain.extension, ...extension },
    })
  }
}

/** Plans requests from now on until `untilMs`. */
export function planRequests(world: Simulation, untilMs: number): void {
  const { timeline, random, coordinator } = world
  timeline.after(requestEveryMs * 2 * random(), () => {
    if (timeline.nowMs >= untilMs) return
    planRequests(world, untilMs)
    const group = groups[Math.floor(random() * groups.length)]
    if (!group || !coordinator.isUp) return
    const most = Math.max(1, Math.floor(world.nodes.length * group.share))
    const wish = random()
    if (wish < 0.6) {
      const replicas = Math.max(1, Math.round(most * (0.7 + 0.3 * random())))
      world.note(`tenant wants ${replicas} of ${group.name}`)
      void coordinator.scale(group.name, replicas)
    } else {
      world.note(`tenant updates ${group.name}`)
      void coordinator.update(group.name, `registry.example/acme/hello:${timeline.nowMs}`)
    }
  })
}
