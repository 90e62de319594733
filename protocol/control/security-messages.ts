/**
 * What a node reports when its sensor, its operator or it itself finds that something is wrong: the
 * host that runs the containers, or what a container does. The coordinator answers once the report
 * is durable; until then the node keeps it and sends it again.
 */
import Type, { type Static } from 'typebox'
import { CountSchema, SlotIdSchema, TextSchema, UuidSchema } from '../wire/index.ts'

export const SecurityEvidenceSchema = Type.Object({
  /** `host`: nothing on this machine is to be trusted. `workload`: what runs in a slot. */
  suspect: Type.Union([Type.Literal('host'), Type.Literal('workload')]),
  /** Required for a workload. */
  slot: Type.Optional(SlotIdSchema),
  /** Who noticed: `operator`, `falco`, the name of a sensor. */
  sensor: Type.String({ pattern: '^[a-z0-9][a-z0-9.-]{0,63}$' }),
  /** What it goes by: a rule's name. */
  rule: TextSchema(128),
  /** What was seen, for people. Never a secret of the tenant. */
  text: TextSchema(2_000),
})
export type SecurityEvidence = Static<typeof SecurityEvidenceSchema>

export const SecurityReportSchema = Type.Object({
  type: Type.Literal('security-report'),
  /** Drawn by the node: the same report sent again is the same. */
  id: UuidSchema,
  /** The node's wall clock, for display. */
  seenMs: CountSchema(),
  evidence: SecurityEvidenceSchema,
})
export type SecurityReport = Static<typeof SecurityReportSchema>

/** The coordinator has the report for good. */
export const SecurityTakenSchema = Type.Object({
  type: Type.Literal('security-taken'),
  id: UuidSchema,
})
