/**
 * What is kept of a ban: why, on what evidence, by whom, until when, what was said against it and
 * how it ended. The signed list has only the code and the time; whoever has to judge an appeal
 * months later needs the rest.
 */
import Type, { type Static } from 'typebox'
import {
  CountSchema,
  ListSchema,
  PeerIdSchema,
  TextSchema,
  TimeMsSchema,
} from '../../protocol/wire/index.ts'

/** Who found it out. All but the operator are automatic. */
export const banSources = [
  'operator',
  'accusation',
  'lease-violation',
  'failed-proof',
  'forged-capacity',
  'lost-heartbeats',
  'security-alert',
] as const
export const BanSourceSchema = Type.Enum([...banSources])
export type BanSource = (typeof banSources)[number]

/** What it is for, as the signed list says it. */
export const banReasons = [
  'operator',
  'bad-chunks',
  'lease-violation',
  'failed-proof',
  'forged-capacity',
  'lost-heartbeats',
  'security-alert',
] as const
export const BanReasonSchema = Type.Enum([...banReasons])
export type BanReason = (typeof banReasons)[number]

/** The newest of a peer that are kept; older ones of a long story say the same. */
export const evidenceMax = 32

export const EvidenceSchema = Type.Object({
  atMs: TimeMsSchema,
  source: BanSourceSchema,
  /** Who said so: a peer's id, a household, a sensor's name, an operator. */
  by: TextSchema(128),
  text: TextSchema(2_000),
})
export type Evidence = Static<typeof EvidenceSchema>

const LiftedSchema = Type.Object({
  atMs: TimeMsSchema,
  /** `expired`, or who lifted it. */
  by: TextSchema(128),
  note: TextSchema(1_000),
})

export const BanRecordSchema = Type.Object({
  peer: PeerIdSchema,
  reason: BanReasonSchema,
  source: BanSourceSchema,
  by: TextSchema(128),
  note: TextSchema(1_000),
  evidence: ListSchema(EvidenceSchema, evidenceMax),
  /** Coordinator's time, all of them. */
  sinceMs: TimeMsSchema,
  /** Absent: until it is lifted. */
  expiresMs: Type.Optional(TimeMsSchema),
  /** How often the peer was banned so far, this time included. */
  times: CountSchema(),
  appeal: Type.Optional(Type.Object({ atMs: TimeMsSchema, note: TextSchema(2_000) })),
  /** Absent: it is in force. */
  lifted: Type.Optional(LiftedSchema),
  /** Set by an operator who overrode it: until then nothing automatic bans the peer again. */
  shieldedUntilMs: Type.Optional(TimeMsSchema),
})
export type BanRecord = Readonly<Static<typeof BanRecordSchema>>

export type BanRequest = Readonly<{
  peer: BanRecord['peer']
  source: BanSource
  reason?: BanReason
  by: string
  note?: string
  evidence?: readonly Omit<Evidence, 'atMs'>[]
  /** Absent: until it is lifted. */
  forMs?: number
}>

export type UnbanRequest = Readonly<{
  peer: BanRecord['peer']
  by: string
  note?: string
  /** So long nothing automatic bans the peer again. */
  shieldMs?: number
}>
