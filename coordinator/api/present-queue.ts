/** Queues and jobs as the contract's JSON. */
import type { GroupRecord } from '../groups/index.ts'
import type { Job, QueueRecord, Queues } from '../queues/index.ts'
import { type PresentComponents, presentGroup } from './present.ts'
import type { JobJson, QueueJson } from './schemas/queues.ts'

/** As many as the contract shows with a queue. */
const groupsMax = 100

export function presentQueue(
  queue: QueueRecord,
  users: readonly GroupRecord[],
  settings: Readonly<{ gatewayDomain: string }>,
  components: PresentComponents & Readonly<{ queues: Queues }>,
): QueueJson {
  return {
    id: queue.id,
    name: queue.name,
    display_name: queue.displayName,
    description: queue.description,
    container_groups: users
      .slice(0, groupsMax)
      .map((group) => presentGroup(group, settings, components)),
    current_queue_length: components.queues.jobs.lengthOf(queue.id),
    create_time: timeOf(queue.createdMs),
    update_time: timeOf(queue.updatedMs),
  }
}

/** The part that jobs of queues and of inference endpoints have in common. */
export function presentJobFields({ head, input, metadata, output }: Job) {
  return {
    id: head.id,
    input,
    ...(metadata === undefined ? {} : { metadata: metadata as Record<string, unknown> }),
    ...(output === undefined ? {} : { output }),
    status: head.state,
    events: head.events.map(({ action, atMs }) => ({ action, time: timeOf(atMs) })),
    create_time: timeOf(head.createdMs),
    update_time: timeOf(head.updatedMs),
  }
}

export function presentJob(job: Job): JobJson {
  const { attempts, webhook } = job.head
  return {
    ...presentJobFields(job),
    potluck: { attempts, ...(webhook === undefined ? {} : { webhook }) },
  }
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}
