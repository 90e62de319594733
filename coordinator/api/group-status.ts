/**
 * A group's state in the contract's words, from what is wanted and what is observed. Pure.
 *
 *     stopped ──start──▶ pending ──image ready──▶ deploying ──one instance runs──▶ running
 *        ▲                  │                                                        │
 *        └──────stop────────┼──▶ failed (preparation only: pull, authentication, storing)
 *        └──────────────────────────────────stop─────────────────────────────────────┘
 *
 * While instances of an older version run, the group is running, whatever its new image does.
 */
import type { GroupRecord, ImageView, InstanceView } from '../groups/index.ts'

export type GroupStatus = 'pending' | 'deploying' | 'running' | 'stopped' | 'failed'

export type InstanceCounts = Readonly<{
  allocating: number
  /** Downloading counts as creating: the contract has no word for it here. */
  creating: number
  running: number
  stopping: number
}>

export type Observed = Readonly<{
  instances: readonly InstanceView[]
  /** Undefined: not looked at yet. */
  image: ImageView | undefined
  placementProblem: string | undefined
}>

export function statusOf(group: GroupRecord, { instances, image }: Observed): GroupStatus {
  if (group.desired === 'stopped') return 'stopped'
  if (instances.some(({ state }) => state === 'running')) return 'running'
  if (image?.state === 'failed') return 'failed'
  if (image?.state !== 'ready') return 'pending'
  // Nothing is awaited, so nothing is being deployed.
  return group.replicas === 0 ? 'running' : 'deploying'
}

/** Slots that have no instance yet count as allocating; none does when the group is to stop. */
export function countsOf(group: GroupRecord, { instances }: Observed): InstanceCounts {
  const count = (...states: readonly InstanceView['state'][]): number =>
    instances.filter(({ state }) => states.includes(state)).length
  const taken = new Set(
    instances.filter(({ state }) => state !== 'stopping').map(({ slot }) => slot),
  )
  const wanted = group.desired === 'stopped' ? 0 : group.replicas
  return {
    allocating: count('allocating') + Math.max(0, wanted - taken.size),
    creating: count('downloading', 'creating'),
    running: count('running'),
    stopping: count('stopping'),
  }
}

/** Why the group is not where it should be, for people; null when there is nothing to say. */
export function describeStatus(group: GroupRecord, observed: Observed): string | null {
  const { instances, image, placementProblem } = observed
  const status = statusOf(group, observed)
  if (status === 'stopped') {
    return instances.length > 0 ? `Stopping ${instances.length} instances.` : null
  }
  if (image?.state === 'failed') return `Image: ${image.fault?.message ?? 'preparation failed.'}`
  if (image?.state !== 'ready') return describePreparation(image)
  const { allocating } = countsOf(group, observed)
  return allocating > 0 ? (placementProblem ?? null) : null
}

function describePreparation(image: ImageView | undefined): string {
  if (!image || image.bytesTotal === 0) return 'Image: looking it up.'
  const percent = Math.floor((100 * image.bytesDone) / image.bytesTotal)
  return `Image: ${percent}% of ${image.bytesTotal} bytes cached.`
}
