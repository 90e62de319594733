/**
 * What the coordinator says to nodes and caches. The channel is authenticated by Noise, so answers
 * to beats are not signed; what must outlive it (orders, lists, tickets) is, and travels as bytes.
 */
import Type, { type Static } from 'typebox'
import { BanNewsSchema, PeerHintSchema } from '../orders/index.ts'
import {
  BundleIdSchema,
  BytesSchema,
  CountSchema,
  createCodec,
  EpochSchema,
  ListSchema,
  SignedSchema,
  SlotIdSchema,
  TermSchema,
  TextSchema,
  TimeMsSchema,
} from '../wire/index.ts'
import { FaultSchema } from './facts.ts'
import { DropBundleSchema, IngestSchema, ResolveSchema } from './image-messages.ts'
import { controlLimits, instancesMax } from './protocol.ts'
import { SecurityTakenSchema } from './security-messages.ts'

export const WelcomeSchema = Type.Object({
  type: Type.Literal('welcome'),
  certificate: SignedSchema,
  roster: SignedSchema,
  /** Absent where the hello named this very list: a long one is a megabyte. */
  bans: Type.Optional(SignedSchema),
  /** The coordinator's time when it wrote this. */
  timeMs: TimeMsSchema,
  /** Keys the DHT's ids, so that an outsider cannot list who holds what. */
  dhtSecret: BytesSchema(32, 32),
  /** The address that the coordinator sees this peer at. */
  observedAddr: TextSchema(512),
  /** Name of the chef that this node belongs to. */
  chef: Type.Optional(TextSchema(63)),
  /** The newest head of the audit log. */
  auditHead: Type.Optional(SignedSchema),
})
export type Welcome = Static<typeof WelcomeSchema>

/** This lease now ends at `leaseEndMs` (coordinator's time). */
export const RenewalSchema = Type.Object({
  slot: SlotIdSchema,
  term: TermSchema,
  epoch: EpochSchema,
  leaseEndMs: TimeMsSchema,
  /** The next ticket, at half time of the one before. */
  ticket: Type.Optional(SignedSchema),
})
export type Renewal = Static<typeof RenewalSchema>

export const BeatAnswerSchema = Type.Object({
  type: Type.Literal('beat-answer'),
  seq: CountSchema(),
  timeMs: TimeMsSchema,
  /** What is not renewed runs out at its lease's end. */
  renewals: ListSchema(RenewalSchema, instancesMax),
  /** The newest pulse: kept in memory and shown to peers that ask for it. */
  pulse: Type.Optional(SignedSchema),
  /** Households other than the peer's own that are connected now, as the coordinator sees them. */
  otherHouseholds: Type.Optional(CountSchema()),
  /** How many one-time keys the next beat should bring. */
  keysWanted: CountSchema(64),
})
export type BeatAnswer = Static<typeof BeatAnswerSchema>

const OrderSchema = Type.Object({ type: Type.Literal('order'), order: SignedSchema })
const RevokeSchema = Type.Object({ type: Type.Literal('revoke'), revocation: SignedSchema })
/** Newer lists; any may be absent. */
const ListsSchema = Type.Object({
  type: Type.Literal('lists'),
  roster: Type.Optional(SignedSchema),
  bans: Type.Optional(SignedSchema),
  /** The next ban list as a change of the one before. */
  banNews: Type.Optional(BanNewsSchema),
})
/** More holders of a bundle that this peer fetches. */
const HoldersSchema = Type.Object({
  type: Type.Literal('holders'),
  bundle: BundleIdSchema,
  hints: ListSchema(PeerHintSchema, 32),
})

/** To `claim`: whose this node is now, or why that failed. */
const ClaimAnswerSchema = Type.Object({
  type: Type.Literal('claim-answer'),
  chef: Type.Optional(TextSchema(63)),
  refusal: Type.Optional(FaultSchema),
})
export type ClaimAnswer = Static<typeof ClaimAnswerSchema>
/** A newer head of the audit log, signed; seldom, and only when there is one. */
const AuditHeadMessageSchema = Type.Object({ type: Type.Literal('audit-head'), head: SignedSchema })

/** The last word before the coordinator closes the stream. */
const RefusedSchema = Type.Object({ type: Type.Literal('refused'), fault: FaultSchema })

export const DownMessageSchema = Type.Union([
  WelcomeSchema,
  BeatAnswerSchema,
  OrderSchema,
  RevokeSchema,
  ListsSchema,
  HoldersSchema,
  ResolveSchema,
  IngestSchema,
  DropBundleSchema,
  SecurityTakenSchema,
  ClaimAnswerSchema,
  AuditHeadMessageSchema,
  RefusedSchema,
])
/** From the coordinator to a node or a cache. */
export type DownMessage = Static<typeof DownMessageSchema>

export const downCodec = createCodec('message of the coordinator', DownMessageSchema, {
  maxBytes: controlLimits.maxFrameBytes,
})
