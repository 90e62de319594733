/** What a change of a group is called in SaladCloud's system events. Pure. */
import type { GroupRecord } from '../groups/index.ts'

/** What of a group its events tell about. */
export type GroupFacts = Pick<GroupRecord, 'desired' | 'replicas' | 'version'>

export function groupEvents(before: GroupFacts | undefined, after: GroupFacts): readonly string[] {
  const events: string[] = []
  if (after.desired !== (before?.desired ?? 'stopped')) {
    events.push(after.desired === 'running' ? 'Container Group Started' : 'Container Group Stopped')
  }
  if (before && after.replicas !== before.replicas) {
    events.push(
      `Container Group Desired Replica Count Updated from ${before.replicas} to ${after.replicas}`,
    )
  }
  if (before && after.version !== before.version) {
    events.push(`Container Group Updated (Version ${after.version})`)
  }
  return events
}
