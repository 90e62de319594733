/**
 * How long a node has served well. It is on probation from its first hello until it has been here
 * for so many hours, connected and not at fault: an identity costs nothing, and hours do.
 */
import Type, { type Static } from 'typebox'
import { CountSchema, PeerIdSchema, TextSchema, TimeMsSchema } from '../../protocol/wire/index.ts'

export const ServiceRecordSchema = Type.Object({
  node: PeerIdSchema,
  /** Where it was seen last. */
  household: TextSchema(128),
  firstMs: TimeMsSchema,
  lastMs: TimeMsSchema,
  /** Connected and not at fault. */
  goodMs: CountSchema(),
})
export type ServiceRecord = Readonly<Static<typeof ServiceRecordSchema>>

/** Longer gaps between two looks are not counted: nobody watched. */
const gapMsMax = 60_000

/** The record after another look at a node that is connected. */
export function served(
  before: ServiceRecord | undefined,
  seen: Readonly<{ node: ServiceRecord['node']; household: string; isAtFault: boolean }>,
  nowMs: number,
): ServiceRecord {
  const { node, household, isAtFault } = seen
  if (!before) return { node, household, firstMs: nowMs, lastMs: nowMs, goodMs: 0 }
  const gapMs = Math.max(0, nowMs - before.lastMs)
  const goodMs = before.goodMs + (isAtFault || gapMs > gapMsMax ? 0 : gapMs)
  return { ...before, household, lastMs: Math.max(before.lastMs, nowMs), goodMs }
}

/** What a fault costs: an hour of good service for each, at most all of it. */
export function faulted(before: ServiceRecord): ServiceRecord {
  return { ...before, goodMs: Math.max(0, before.goodMs - 3_600_000) }
}

export function isOnProbation(record: ServiceRecord | undefined, probationMs: number): boolean {
  return (record?.goodMs ?? 0) < probationMs
}
