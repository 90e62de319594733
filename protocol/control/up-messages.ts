/**
 * What a node or a cache says to the coordinator. Level-triggered: a beat carries all that the peer
 * runs, so no step relies on an earlier message.
 */
import Type, { type Static } from 'typebox'
import { AuditProofSchema } from '../audit/index.ts'
import {
  BundleIdSchema,
  CountSchema,
  createCodec,
  EpochSchema,
  ListSchema,
  MultiaddrSchema,
  PeerIdSchema,
  SignedSchema,
  SlotIdSchema,
  TermSchema,
  TextSchema,
} from '../wire/index.ts'
import {
  CapacitySchema,
  FaultSchema,
  InstanceReportSchema,
  LinkSchema,
  MisbehaviourSchema,
} from './facts.ts'
import { IngestedSchema, IngestProgressSchema, ResolvedSchema } from './image-messages.ts'
import { bundlesMax, controlLimits, instancesMax } from './protocol.ts'
import { SecurityReportSchema } from './security-messages.ts'

export const HelloSchema = Type.Object({
  type: Type.Literal('hello'),
  role: Type.Union([Type.Literal('node'), Type.Literal('cache')]),
  version: TextSchema(64),
  /** The highest this peer knows; the coordinator shows its certificate if it has a higher one. */
  term: TermSchema,
  /** What certifies that term: a coordinator that was deposed is told so by it. */
  certificate: Type.Optional(SignedSchema),
  rosterNumber: CountSchema(),
  banNumber: CountSchema(),
  /** Listening addresses. */
  addrs: ListSchema(MultiaddrSchema, 16),
  /** The newest signed verdict of each address family on whether this peer can be dialled. */
  verdicts: Type.Optional(ListSchema(SignedSchema, 2)),
  /** The newest pulse that this peer knows: a coordinator that has gone back is told so by it. */
  pulse: Type.Optional(SignedSchema),
  /** A {@link NodeKeys} with `replaces`. */
  keys: SignedSchema,
  capacity: Type.Optional(CapacitySchema),
  /** Orders held (newest signed order of each slot) and how they stand. */
  held: ListSchema(
    Type.Object({ order: SignedSchema, report: InstanceReportSchema }),
    instancesMax,
  ),
  /** Bundles held whole. */
  bundles: ListSchema(BundleIdSchema, bundlesMax),
  /** Bundles held in part, so that what no group refers to any more is not kept for ever. */
  partial: Type.Optional(ListSchema(BundleIdSchema, bundlesMax)),
  /** The newest head of the audit log that it was shown: a coordinator that lost entries learns it. */
  auditHead: Type.Optional(AuditProofSchema),
})
export type Hello = Static<typeof HelloSchema>

export const BeatSchema = Type.Object({
  type: Type.Literal('beat'),
  seq: CountSchema(),
  /** Every slot that this node has an order for, also finished ones until they are revoked. */
  instances: ListSchema(InstanceReportSchema, instancesMax),
  bundles: ListSchema(BundleIdSchema, bundlesMax),
  partial: Type.Optional(ListSchema(BundleIdSchema, bundlesMax)),
  capacity: Type.Optional(CapacitySchema),
  /** A refill of one-time keys. */
  keys: Type.Optional(SignedSchema),
  /** Only where they changed since they were told. */
  addrs: Type.Optional(ListSchema(MultiaddrSchema, 16)),
  verdicts: Type.Optional(ListSchema(SignedSchema, 2)),
  misbehaviour: ListSchema(MisbehaviourSchema, 64),
})
export type Beat = Static<typeof BeatSchema>

/** Sent at once when an instance changes state, between beats. */
const ReportSchema = Type.Object({ type: Type.Literal('report'), instance: InstanceReportSchema })

const OrderAnswerSchema = Type.Object({
  type: Type.Literal('order-answer'),
  slot: SlotIdSchema,
  term: TermSchema,
  epoch: EpochSchema,
  /** Absent: accepted. */
  refusal: Type.Optional(FaultSchema),
})
export type OrderAnswer = Static<typeof OrderAnswerSchema>

/** This peer leaves; its slots may be given away at once. */
const GoodbyeSchema = Type.Object({
  type: Type.Literal('goodbye'),
  reason: TextSchema(256),
  /** Only these slots (of a strict group: that have stopped); absent: all. */
  slots: Type.Optional(ListSchema(SlotIdSchema, instancesMax)),
})

/** A node asks to belong to the chef who had this code made. The code is a secret until it is used. */
const ClaimSchema = Type.Object({ type: Type.Literal('claim'), code: TextSchema(64) })

/** A cache's word on lines that it measured; the nodes' own is not enough to give work by. */
const LinkTestsSchema = Type.Object({
  type: Type.Literal('link-tests'),
  results: ListSchema(Type.Object({ peer: PeerIdSchema, link: LinkSchema }), 256),
})

export const UpMessageSchema = Type.Union([
  HelloSchema,
  BeatSchema,
  ReportSchema,
  OrderAnswerSchema,
  GoodbyeSchema,
  ClaimSchema,
  ResolvedSchema,
  IngestProgressSchema,
  IngestedSchema,
  LinkTestsSchema,
  SecurityReportSchema,
])
/** From a node or a cache to the coordinator. */
export type UpMessage = Static<typeof UpMessageSchema>

export const upCodec = createCodec('message to the coordinator', UpMessageSchema, {
  maxBytes: controlLimits.maxFrameBytes,
})
