/**
 * What the API needs to know of the control plane, and nothing more: observed state, never the way
 * it came about. With it the API is tested without a mesh, and the scheduler without HTTP.
 */
import type { Fault } from '../../protocol/control/index.ts'
import type { Epoch, GroupId, InstanceId, PeerId, Term } from '../../protocol/ids.ts'

/** The contract's words. Restarting is `creating`; a failed one is `stopping` until replaced. */
export const instanceStates = [
  'allocating',
  'downloading',
  'creating',
  'running',
  'stopping',
] as const
export type InstanceViewState = (typeof instanceStates)[number]

/** One instance: a slot's newest epoch, or an older one that has not stopped yet. */
export type InstanceView = Readonly<{
  id: InstanceId
  /** 0..replicas-1. */
  slot: number
  term: Term
  epoch: Epoch
  node: PeerId
  /** `machineIdOf(node)`. */
  machineId: string
  state: InstanceViewState
  /** Wall-clock time of the last change of state, for display. */
  updatedMs: number
  /** The group's version that this instance runs. */
  version: number
  /** Without a readiness probe: the same as started. */
  ready: boolean
  /** Without a startup probe: the container runs. */
  started: boolean
  fault?: Fault
  /** Travelling bytes of the image: all, here, and by where they came from. */
  bytesTotal: number
  bytesDone: number
  bytesFromCaches: number
  bytesFromPeers: number
  /** Plaintext bytes that the node's loopback endpoint served to its engine. */
  bytesServed: number
  restarts: number
}>

/** How far a cache is with the group's image, as of the group's newest version. */
export type ImageView = Readonly<{
  state: 'preparing' | 'ready' | 'failed'
  fault?: Fault
  bytesDone: number
  /** 0 while the manifest is not known. */
  bytesTotal: number
  /** `sha256:…` of the manifest, once resolved. */
  digest?: string
}>

export type CapacityView = Readonly<{
  nodes: number
  nodesConnected: number
  milliCpus: number
  memoryBytes: number
  storageBytes: number
  gpus: number
}>

/** How well a node suits the group, in parts that add up to `score`. */
export type PlacementScore = Readonly<{
  machineId: string
  score: number
  parts: Readonly<Record<string, number>>
}>

/** Why the group's replicas are where they are, and where the next would go, or why nowhere. */
export type PlacementView = Readonly<{
  /** For people. */
  summary: string
  /** How long slots have waited for room; absent: none waits. */
  waitedMs?: number
  nodesConsidered: number
  nodesFitting: number
  /** How many nodes each filter removed; a node counts under its first. */
  removed: readonly Readonly<{ reason: string; nodes: number }>[]
  /** Filters that alone keep nodes out, and what helps. */
  help: readonly Readonly<{ reason: string; nodes: number; text: string }>[]
  best: readonly PlacementScore[]
  /** As their nodes would be scored now, beside the group's other slots. */
  placed: readonly (PlacementScore & Readonly<{ slot: number }>)[]
}>

/** Reads are synchronous and cheap: they are called for every request. */
export interface ControlPlaneView {
  /** Only instances that exist; slots without one are counted by the API as allocating. */
  instances(group: GroupId): readonly InstanceView[]
  /** Undefined: the control plane has not looked at this group yet, which counts as preparing. */
  image(group: GroupId): ImageView | undefined
  /** Why slots cannot be placed now: `no node has 24 GiB of VRAM (3 of 3 filtered)`; else undefined. */
  placementProblem(group: GroupId): string | undefined
  /** Walks over all nodes. Undefined: no such group. */
  explain(group: GroupId): PlacementView | undefined
  capacity(): CapacityView
  /** @throws {NotOfferedError} this version cannot do it. */
  reallocate(instance: InstanceId): Promise<void>
  /** @throws {NotOfferedError} */
  recreate(instance: InstanceId): Promise<void>
  /** @throws {NotOfferedError} */
  restart(instance: InstanceId): Promise<void>
}
