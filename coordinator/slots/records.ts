/**
 * What the coordinator persists of each slot. The fence is the point of it: the highest (term,
 * epoch) that was ever handed out is on disk before the order leaves, so that no restart hands it
 * out again. Leases are not here: they are renewed every few seconds, and a restarted coordinator
 * counts every lease from the end of its reconnect window (leases.md).
 */
import Type, { type Static } from 'typebox'
import { FaultSchema, InstanceStateSchema } from '../../protocol/control/index.ts'
import { ResourcesSchema } from '../../protocol/orders/index.ts'
import {
  BundleIdSchema,
  CountSchema,
  EpochSchema,
  GroupIdSchema,
  InstanceIdSchema,
  ListSchema,
  PeerIdSchema,
  SignedSchema,
  SlotIdSchema,
  TermSchema,
  TimeMsSchema,
} from '../../protocol/wire/index.ts'
import { BillingTermsSchema } from '../ledger/terms.ts'

const FenceSchema = Type.Object({ term: TermSchema, epoch: EpochSchema })

/** `ordered` until the node says that it took the order. */
export const PlacementStateSchema = Type.Union([Type.Literal('ordered'), InstanceStateSchema])
export type PlacementState = Static<typeof PlacementStateSchema>

const placementFields = {
  fence: FenceSchema,
  node: PeerIdSchema,
  instance: InstanceIdSchema,
  /** Of the group: what this instance was made from. */
  version: CountSchema(),
  bundle: BundleIdSchema,
  resources: ResourcesSchema,
  /** What it costs, frozen when it was placed; absent: nothing is charged. */
  billing: Type.Optional(BillingTermsSchema),
  /** The signed allocation, byte for byte: redelivery must be identical. */
  order: SignedSchema,
  issuedMs: TimeMsSchema,
  acceptUntilMs: TimeMsSchema,
  state: PlacementStateSchema,
  /** Wall-clock time of the last change of `state`, for display. */
  stateSinceMs: CountSchema(),
  /** When its group shrinks, the lowest goes first; absent: 0. */
  deletionCost: Type.Optional(CountSchema(100_000)),
}

/** The newest epoch of a slot, on its node. */
const PlacementSchema = Type.Object(placementFields)
export type Placement = Readonly<Static<typeof PlacementSchema>>

/** The group that a node is being freed for, and its rank (scheduler/preemption.ts). */
const ClaimSchema = Type.Object({ group: GroupIdSchema, rank: CountSchema(15) })
export type Claim = Readonly<Static<typeof ClaimSchema>>

/** An older epoch that may still run somewhere. */
const LeavingSchema = Type.Object({
  ...placementFields,
  /**
   * 'lapsed': silent, and may get the slot back; 'updating': renewed and served until the newer version
   * runs; 'revoked': must stop whatever happens.
   */
  why: Type.Union([Type.Literal('lapsed'), Type.Literal('updating'), Type.Literal('revoked')]),
  reason: Type.String({ maxLength: 256 }),
  /** Coordinator's time when it stopped being the newest. */
  sinceMs: TimeMsSchema,
  /** When its last lease ends: it is never renewed again. */
  leaseEndMs: TimeMsSchema,
  /** It was preempted: its room is for this group. */
  claim: Type.Optional(ClaimSchema),
})
export type Leaving = Readonly<Static<typeof LeavingSchema>>

export const SlotRecordSchema = Type.Object({
  slot: SlotIdSchema,
  /** The highest ever handed out or seen; absent: none yet. */
  fence: Type.Optional(FenceSchema),
  placement: Type.Optional(PlacementSchema),
  leaving: ListSchema(LeavingSchema, 8),
  /** Failures in a row of this slot. */
  failures: CountSchema(),
  /** No new order before this (coordinator's time). */
  notBeforeMs: TimeMsSchema,
  /** Nodes where this slot failed: others are tried first until then. */
  exclusions: ListSchema(Type.Object({ node: PeerIdSchema, untilMs: TimeMsSchema }), 16),
  /** The container ended and its restart policy wants no other. */
  finished: Type.Optional(Type.Object({ exitCode: Type.Integer(), version: CountSchema() })),
  /** Why the last epoch failed, for people. */
  fault: Type.Optional(FaultSchema),
})
export type SlotRecord = Readonly<Static<typeof SlotRecordSchema>>
