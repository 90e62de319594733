/**
 * Acts on groups' scheduled replica counts. Level-triggered: the newest firing since a group was
 * last changed decides, so a coordinator that was down at the time catches up, a change that a tenant
 * makes afterwards stands, and nothing has to be remembered beside the group itself.
 */
import type { Clock } from '../../protocol/clock.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { GroupRecord, Groups } from '../groups/index.ts'
import { lastFiringMs, parseSchedule, type Schedule, ScheduleInvalidError } from './schedule.ts'

export type ScheduledScalingComponents = Readonly<{
  groups: Pick<Groups, 'all' | 'update'>
  clock: Clock
  /** Schedules are in UTC, so it is the wall clock that counts. */
  wallMs: () => number
  logger: Logger
}>

export interface ScheduledScaling {
  stop(): Promise<void>
}

/** Schedules are to the minute. */
const tickMs = 5_000

type ScalingAction = Readonly<{ replicas: number; schedule: string }>

/** What the group's schedules want now; undefined: nothing has fired since it was changed. */
export function scheduledReplicas(group: GroupRecord, nowMs: number): number | undefined {
  if (group.deletedMs !== undefined || !group.kept['scheduled-scaling-enabled']) return undefined
  let newest: Readonly<{ firedMs: number; replicas: number }> | undefined
  for (const { schedule, replicas } of actionsOf(group)) {
    const parsed = parse(schedule)
    if (!parsed) continue
    const firedMs = lastFiringMs(parsed, { afterMs: group.updatedMs, untilMs: nowMs })
    if (firedMs !== undefined && (!newest || firedMs > newest.firedMs)) {
      newest = { firedMs, replicas }
    }
  }
  return newest?.replicas
}

/** Starts to act; `stop` ends it. */
export function startScheduledScaling(components: ScheduledScalingComponents): ScheduledScaling {
  const { groups, clock, wallMs, logger } = components
  const stopped = new AbortController()
  const { signal } = stopped

  const scale = async (group: GroupRecord): Promise<void> => {
    const replicas = scheduledReplicas(group, wallMs())
    if (replicas === undefined || replicas === group.replicas) return
    try {
      await groups.update(group, group.name, () => ({ replicas }))
      logger.info({ group: group.id, from: group.replicas, replicas }, 'a group was scaled on time')
    } catch (error) {
      // Over quota, or deleted meanwhile: the next tick sees what is true then.
      logger.warn({ group: group.id, replicas, error }, 'a group could not be scaled on time')
    }
  }
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      for (const group of groups.all()) if (actionsOf(group).length > 0) await scale(group)
      await clock.sleep(tickMs, { signal }).catch(() => undefined)
    }
  }
  const running = run()
  return {
    async stop() {
      stopped.abort()
      await running
    },
  }
}

/** Checked against the schema when it came in. */
function actionsOf({ kept }: GroupRecord): readonly ScalingAction[] {
  return (kept['scaling-actions'] as readonly ScalingAction[] | undefined) ?? []
}

const known = new Map<string, Schedule | undefined>()
/** More than that are parsed each time. */
const knownMax = 10_000

/** The pattern at the border lets some through that name no time: they never fire. */
function parse(text: string): Schedule | undefined {
  if (known.has(text)) return known.get(text)
  let schedule: Schedule | undefined
  try {
    schedule = parseSchedule(text)
  } catch (error) {
    if (!(error instanceof ScheduleInvalidError)) throw error
  }
  if (known.size < knownMax) known.set(text, schedule)
  return schedule
}
