/**
 * What the coordinator does about alarms: a node that finds its own host suspect is banned at once,
 * and a group whose container is suspect gets no new instances until an operator has looked. The
 * node has stopped what it reports by then. All of it is durable before the node is told that it is
 * known, and audited.
 */
import type { SecurityReport } from '../../protocol/control/index.ts'
import { describeError } from '../../protocol/errors.ts'
import { type GroupId, type PeerId, parseSlotId, type SlotId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { createKeyedRate } from '../../protocol/nat/index.ts'
import { collection, type Store, type StoreOperation } from '../../protocol/store/index.ts'
import type { AuditSink, BanBook } from '../bans/index.ts'
import { HoldNotFoundError } from './errors.ts'
import {
  type Hold,
  HoldSchema,
  holdReportsMax,
  type ReportRecord,
  ReportRecordSchema,
} from './types.ts'

export interface SecurityReview {
  /** Whether the group gets no new instances for now. */
  isHeld(group: GroupId): boolean
  holds(): readonly Hold[]
  /** Newest first. */
  reports(limit?: number): readonly ReportRecord[]
  /**
   * Takes a node's report; false when it came too fast and has to come again. The same report once
   * more changes nothing.
   */
  take(from: Reporter, report: SecurityReport): Promise<boolean>
  /**
   * Lets the group have instances again. `falseAlarm`: the reports that held it count against who
   * made them. @throws {HoldNotFoundError}
   */
  release(
    group: GroupId,
    by: Readonly<{ by: string; note: string; falseAlarm: boolean }>,
  ): Promise<void>
  onChange(listener: (group: GroupId) => void): () => void
}

export type Reporter = Readonly<{ peer: PeerId; household: string }>

export type SecurityReviewComponents = Readonly<{
  store: Store
  bans: Pick<BanBook, 'ban'>
  /** Whether the node was given this slot and may still have it: nobody alarms for others. */
  runsOn: (peer: PeerId, slot: SlotId) => boolean
  audit: AuditSink
  /** Boot clock, for rates. */
  clockMs: () => number
  /** Coordinator's time. */
  nowMs: () => number
  logger: Logger
}>

/** Kept; the oldest go first. */
const reportsMax = 10_000
/** Of one node: each is a synced write. */
const nodeRate = { burst: 8, perS: 1 / 30 }
/** So many false alarms of a household, within so long, and its next holds no group by itself. */
const falseAlarmsMax = 2
const falseAlarmMs = 30 * 86_400_000

/** Loads what is known. */
export async function openSecurityReview(
  components: SecurityReviewComponents,
): Promise<SecurityReview> {
  const { store, bans, runsOn, audit, clockMs, nowMs, logger } = components
  const reportRecords = collection(store, 'security-reports', ReportRecordSchema)
  const holdRecords = collection(store, 'security-holds', HoldSchema)
  const reports = new Map<string, ReportRecord>()
  const held = new Map<GroupId, Hold>()
  const listeners = new Set<(group: GroupId) => void>()
  const withinRate = createKeyedRate(nodeRate)
  for await (const [id, report] of reportRecords.entries()) reports.set(id, report)
  for await (const [, hold] of holdRecords.entries()) held.set(hold.group, hold)
  /** One act at a time: a release must not race the report after it. */
  let turn: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work)
    turn = done.catch(() => undefined)
    return done
  }
  const falseAlarmsOf = (household: string): number => {
    const sinceMs = nowMs() - falseAlarmMs
    const isOne = (report: ReportRecord): boolean =>
      report.falseAlarm === true && report.household === household && report.takenMs > sinceMs
    return [...reports.values()].filter(isOne).length
  }
  const tell = (group: GroupId): void => {
    for (const listener of listeners) listener(group)
  }

  /** The group to hold, or why there is none. */
  const judgeWorkload = (
    { peer, household }: Reporter,
    slot: SlotId | undefined,
  ): Readonly<{ group: GroupId }> | Readonly<{ why: string }> => {
    if (slot === undefined) return { why: 'it names no slot' }
    if (!runsOn(peer, slot)) return { why: `the node was not given slot ${slot}` }
    const falseAlarms = falseAlarmsOf(household)
    if (falseAlarms >= falseAlarmsMax) {
      return { why: `its household raised ${falseAlarms} false alarms lately` }
    }
    return { group: parseSlotId(slot).group }
  }
  const holdWith = (group: GroupId, id: string): Hold => {
    const before = held.get(group)
    const names = [...(before?.reports ?? []), id].slice(-holdReportsMax)
    return { group, sinceMs: before?.sinceMs ?? nowMs(), reports: names }
  }
  /** Says what became of the host that found itself suspect. */
  const banHost = async (
    { peer }: Reporter,
    { evidence }: SecurityReport,
  ): Promise<string | undefined> => {
    const { sensor, rule, text } = evidence
    try {
      await bans.ban({
        ...{ peer, source: 'security-alert', by: `sensor ${sensor}`, note: rule },
        evidence: [
          { source: 'security-alert', by: peer, text: `${rule}: ${text}`.slice(0, 2_000) },
        ],
      })
      return undefined
    } catch (error) {
      logger.error({ peer, error }, 'a host that is suspect could not be banned')
      return describeError(error).slice(0, 512)
    }
  }
  const takeNow = async (from: Reporter, report: SecurityReport): Promise<boolean> => {
    const { id, seenMs, evidence } = report
    if (reports.has(id)) return true
    if (!withinRate(from.peer, clockMs())) return false
    const { suspect, slot, sensor, rule } = evidence
    const verdict = suspect === 'workload' ? judgeWorkload(from, slot) : undefined
    const group = verdict && 'group' in verdict ? verdict.group : undefined
    // The ban first: a crash in between makes the node say it again.
    const why =
      suspect === 'host'
        ? await banHost(from, report)
        : verdict && 'why' in verdict
          ? verdict.why
          : undefined
    const record: ReportRecord = {
      ...{ id, node: from.peer, household: from.household, seenMs, takenMs: nowMs(), evidence },
      outcome: why !== undefined ? 'noted' : suspect === 'host' ? 'banned' : 'held',
      ...(why === undefined ? {} : { why }),
    }
    const operations: StoreOperation[] = [reportRecords.putOperation(id, record)]
    const hold = group && holdWith(group, id)
    if (hold) operations.push(holdRecords.putOperation(hold.group, hold))
    for (const old of oldest(reports, reportsMax - 1)) {
      reports.delete(old)
      operations.push(reportRecords.deleteOperation(old))
    }
    await store.batch(operations)
    reports.set(id, record)
    if (hold) held.set(hold.group, hold)
    logger.error({ ...record }, 'a node raised a security alarm')
    const facts = {
      suspect,
      sensor,
      rule,
      outcome: record.outcome,
      report: id,
      ...(slot ? { slot } : {}),
    }
    await audit({ act: 'security-report', by: from.peer, subject: group ?? from.peer, facts })
    if (group) tell(group)
    return true
  }
  return {
    isHeld: (group) => held.has(group),
    holds: () => [...held.values()].sort((a, b) => b.sinceMs - a.sinceMs),
    reports: (limit = Number.POSITIVE_INFINITY) =>
      [...reports.values()].sort((a, b) => b.takenMs - a.takenMs).slice(0, limit),
    take: (from, report) => inTurn(() => takeNow(from, report)),
    release: (group, { by, note, falseAlarm }) =>
      inTurn(async () => {
        const hold = held.get(group)
        if (!hold) throw new HoldNotFoundError(group)
        const judged = falseAlarm ? hold.reports.flatMap((id) => reports.get(id) ?? []) : []
        const marked = judged.map((report): ReportRecord => ({ ...report, falseAlarm: true }))
        await store.batch([
          holdRecords.deleteOperation(group),
          ...marked.map((report) => reportRecords.putOperation(report.id, report)),
        ])
        held.delete(group)
        for (const report of marked) reports.set(report.id, report)
        await audit({ act: 'release-hold', by, subject: group, facts: { note, falseAlarm } })
        tell(group)
      }),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** The ids beyond `max`, oldest first. */
function oldest(reports: ReadonlyMap<string, ReportRecord>, max: number): readonly string[] {
  if (reports.size <= max) return []
  const byAge = [...reports.values()].sort((a, b) => a.takenMs - b.takenMs)
  return byAge.slice(0, reports.size - max).map(({ id }) => id)
}
