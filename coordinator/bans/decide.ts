/** What a request makes of a ban's record: pure. */
import type { PeerId } from '../../protocol/ids.ts'
import type { BanList } from '../../protocol/orders/index.ts'
import {
  type BanReason,
  type BanRecord,
  type BanRequest,
  type BanSource,
  banReasons,
  type Evidence,
  evidenceMax,
  type UnbanRequest,
} from './types.ts'

const usualReasons: Readonly<Record<BanSource, BanReason>> = {
  operator: 'operator',
  accusation: 'bad-chunks',
  'lease-violation': 'lease-violation',
  'failed-proof': 'failed-proof',
  'forged-capacity': 'forged-capacity',
  'lost-heartbeats': 'lost-heartbeats',
  'security-alert': 'security-alert',
}

/** Whether the record bans its peer at `nowMs`. */
export function isInForce({ lifted, expiresMs }: BanRecord, nowMs: number): boolean {
  return !lifted && (expiresMs === undefined || nowMs < expiresMs)
}

/** Whether an operator's override keeps automatic bans off the peer. */
export function isShielded(record: BanRecord | undefined, nowMs: number): boolean {
  return (record?.shieldedUntilMs ?? 0) > nowMs
}

/** The record once `request` is granted; of a ban that is in force, evidence and time add up. */
export function banned(
  before: BanRecord | undefined,
  request: BanRequest,
  nowMs: number,
): BanRecord {
  const { peer, source, by, note = '', forMs } = request
  const evidence = newest(before, request.evidence ?? [], nowMs)
  const expiresMs = forMs === undefined ? undefined : nowMs + forMs
  const fresh = { peer, source, by, note, reason: request.reason ?? usualReasons[source], evidence }
  if (!before || !isInForce(before, nowMs)) {
    const times = (before?.times ?? 0) + 1
    return { ...fresh, sinceMs: nowMs, times, ...(expiresMs === undefined ? {} : { expiresMs }) }
  }
  // An operator's word stands as given; what is found out automatically only adds.
  if (source === 'operator') {
    const { expiresMs: _, ...rest } = before
    return { ...rest, ...fresh, ...(expiresMs === undefined ? {} : { expiresMs }) }
  }
  if (before.expiresMs === undefined) return { ...before, evidence }
  const { expiresMs: until, ...rest } = before
  if (expiresMs === undefined) return { ...rest, evidence }
  return { ...rest, evidence, expiresMs: Math.max(until, expiresMs) }
}

/** The record once the ban is lifted; its evidence stays. */
export function lifted(before: BanRecord, request: UnbanRequest, nowMs: number): BanRecord {
  const { by, note = '', shieldMs } = request
  const { shieldedUntilMs: _, ...rest } = before
  return {
    ...rest,
    lifted: { atMs: nowMs, by, note },
    ...(shieldMs === undefined ? {} : { shieldedUntilMs: nowMs + shieldMs }),
  }
}

function newest(
  before: BanRecord | undefined,
  more: readonly Omit<Evidence, 'atMs'>[],
  nowMs: number,
): Evidence[] {
  const added = more.map((one) => ({ ...one, atMs: nowMs }))
  return [...(before?.evidence ?? []), ...added].slice(-evidenceMax)
}

/**
 * The records that change when `list`, newer than all that is known here, is taken up: who it bans is
 * banned with what it says, and who it does not name was let off since.
 */
export function adopted(
  known: ReadonlyMap<PeerId, BanRecord>,
  list: BanList,
  nowMs: number,
): ReadonlyMap<PeerId, BanRecord> {
  const changed = new Map<PeerId, BanRecord>()
  const named = new Set(list.bans.map(({ peer }) => peer))
  for (const { peer, reason: told, sinceMs } of list.bans) {
    const before = known.get(peer)
    if (before && isInForce(before, nowMs)) continue
    const reason = banReasons.find((one) => one === told) ?? 'operator'
    const note = `from ban list ${list.number}, held by peers when the coordinator was restored`
    const request = { peer, source: 'operator', reason, by: 'restore', note } as const
    changed.set(peer, { ...banned(before, request, nowMs), sinceMs })
  }
  for (const [peer, record] of known) {
    const isNewer = record.sinceMs > list.issuedMs
    if (named.has(peer) || isNewer || !isInForce(record, nowMs)) continue
    changed.set(peer, lifted(record, { peer, by: 'restore' }, nowMs))
  }
  return changed
}
