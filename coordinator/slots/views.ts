/** What the pure step is told: desired groups, observed nodes, leases, and the numbers it goes by. */
import type { Capacity, Fault, InstanceReport, Link } from '../../protocol/control/index.ts'
import type { BundleId, Fence, GroupId, PeerId, SlotId } from '../../protocol/ids.ts'
import type { RestartPolicy } from '../../protocol/orders/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'
import type { Claim, SlotRecord } from './records.ts'

/** A group as the slots need it. */
export type GroupTarget = Readonly<{
  group: GroupId
  version: number
  /** Slots 0 to `replicas` − 1 are wanted; 0: stopped or deleted. */
  replicas: number
  /** Its slots are cleared once nothing of it is left. */
  deleted: boolean
  /** A security alarm is under review: what runs goes on, nothing new is placed. */
  held?: boolean
  /** The bundle of this version; absent: not cached yet, so nothing can be ordered. */
  bundle?: BundleId
  milliCpus: number
  memoryBytes: number
  storageBytes: number
  shmBytes: number
  /** Whether a GPU will do; absent: no GPU is wanted. */
  gpuFits?: (gpu: Capacity['gpus'][number]) => boolean
  needsEnv: boolean
  /** The least that a node's line must have been measured to do; absent: any line. */
  minUpBitsPerS?: number
  minDownBitsPerS?: number
  /** Above which groups it stands when room is short (scheduler/priority.ts); absent: 0. */
  rank?: number
  /** Lower-case ISO 3166-1; absent: anywhere. */
  countries?: ReadonlySet<string>
  /** Only on nodes past probation. */
  sensitive?: boolean
  /** What one replica pays an hour, in micro-units; absent: not known, and no chef's floor counts. */
  microsPerHour?: number
  restart: RestartPolicy
  lostAfterMs: number
  orphanAfterMs: number
  /** Never two of a slot at once. */
  strict?: boolean
}>

/** An order that a node says it holds. */
export type Held = Readonly<{
  fence: Fence
  /** Known only from `hello`. */
  order?: Signed
  report: InstanceReport
}>

/** A node as its session shows it now. */
export type NodeView = Readonly<{
  node: PeerId
  household: string
  /** Lower-case ISO 3166-1, of the address that is seen; absent: not known. */
  country?: string | undefined
  /** The chef's account, once the node is claimed. */
  owner?: string | undefined
  /** It has not proved itself yet. */
  probation?: boolean
  /** From 0 to 1: how well it stayed, as was observed; absent: nothing is known yet. */
  reliability?: number | undefined
  /** It said hello on a stream that is open. */
  connected: boolean
  /** Coordinator's time of its last hello: what it was ordered before may be lost to it. */
  helloMs?: number
  /** It said goodbye and has not come back. */
  departed: boolean
  /** A strict goodbye names only slots that have stopped; absent: all of them. */
  departedSlots?: ReadonlySet<SlotId>
  banned: boolean
  /** It failed too often lately: nothing new for a while. */
  rests?: boolean
  capacity?: Capacity | undefined
  /** Its line: the lower of what it says and what a cache saw. Absent: no cache has measured it. */
  link?: Link | undefined
  /** One-time keys left. */
  keys: number
  bundles: ReadonlySet<BundleId>
  /** Those held in part. */
  partial?: ReadonlySet<BundleId>
  held: ReadonlyMap<SlotId, Held>
  /** Orders that the node said, since its hello, that it has. */
  acknowledged: ReadonlyMap<SlotId, Fence>
  refusals: ReadonlyMap<SlotId, Readonly<{ fence: Fence; fault: Fault }>>
}>

/** Whether the node's goodbye gave this slot up. */
export function hasLeft(node: NodeView, slot: SlotId): boolean {
  return node.departed && (node.departedSlots?.has(slot) ?? true)
}

export type LeaseNumbers = Readonly<{
  leaseMs: number
  skewMs: number
  /** How long after its lease a node's guard lets a container run, at most. */
  guardMs: number
}>

export type SlotsInput = Readonly<{
  /** Coordinator's time. */
  nowMs: number
  /** False during the reconnect window after a restart. */
  settled: boolean
  groups: Pick<ReadonlyMap<GroupId, GroupTarget>, 'get' | 'has' | 'keys'>
  slots: ReadonlyMap<SlotId, SlotRecord>
  nodes: ReadonlyMap<PeerId, NodeView>
  /** When the lease of a slot's placement ends (coordinator's time). */
  leaseEndMs: (slot: SlotId) => number
  /** Whether the group was deleted and its slots cleared: what shows up of it must stop. */
  isRetired: (group: GroupId) => boolean
  numbers: LeaseNumbers
  /** Absent: nothing is preempted. */
  preemption?: Readonly<{
    /** How long an instance runs, at least, before a higher group may take its room. */
    minRunMs: number
  }>
  /** Since when groups wait for room (coordinator's time): of one rank, the longest is first. */
  waitingSinceMs?: ReadonlyMap<GroupId, number>
  /** Nodes kept for groups that have waited long. */
  kept?: ReadonlyMap<PeerId, Claim>
}>
