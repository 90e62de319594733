/** What is kept of alarms: the reports as they came, and the groups that are held because of them. */
import Type, { type Static } from 'typebox'
import { SecurityEvidenceSchema } from '../../protocol/control/index.ts'
import {
  CountSchema,
  GroupIdSchema,
  ListSchema,
  PeerIdSchema,
  TextSchema,
  TimeMsSchema,
  UuidSchema,
} from '../../protocol/wire/index.ts'

/** What became of a report. */
export const reportOutcomes = ['banned', 'held', 'noted'] as const
export type ReportOutcome = (typeof reportOutcomes)[number]

export const ReportRecordSchema = Type.Object({
  id: UuidSchema,
  node: PeerIdSchema,
  household: TextSchema(128),
  seenMs: CountSchema(),
  takenMs: TimeMsSchema,
  evidence: SecurityEvidenceSchema,
  outcome: Type.Enum([...reportOutcomes]),
  /** Why it led to no more than a note. */
  why: Type.Optional(TextSchema(512)),
  /** An operator found that there was nothing. */
  falseAlarm: Type.Optional(Type.Boolean()),
})
export type ReportRecord = Readonly<Static<typeof ReportRecordSchema>>

/** Reports that a hold names; more say the same. */
export const holdReportsMax = 64

export const HoldSchema = Type.Object({
  group: GroupIdSchema,
  sinceMs: TimeMsSchema,
  reports: ListSchema(UuidSchema, holdReportsMax),
})
export type Hold = Readonly<Static<typeof HoldSchema>>
