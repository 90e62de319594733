/**
 * Reputation at work: takes what peers say and what the coordinator sees, keeps the hours of good
 * service, and draws the consequences. It asks the pure parts beside it what follows, and carries
 * that out: a rest, probation, a ban with its evidence.
 */
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../protocol/clock.ts'
import type { Fault, Misbehaviour } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { Store } from '../../protocol/store/index.ts'
import type { AuditSink, BanBook, BanRequest } from '../bans/index.ts'
import type { NodeView, SlotRecord } from '../slots/index.ts'
import { type Accuser, createAccusationDesk, type Suspect } from './accusation-desk.ts'
import { banSourceOf, type OffenceKind, offend, spotless } from './conduct.ts'
import { createGpuClaims } from './gpu-claims.ts'
import { openNodeRecords } from './node-records.ts'
import { lapsesIn, overdueStops, ownLapses } from './observe.ts'
import { faulted, isOnProbation, served } from './probation.ts'

/** What the scheduler goes by. */
export type Standing = Readonly<{
  /** New here, or suspect: no sensitive groups. */
  probation: boolean
  /** It failed too often lately: nothing new for a while. */
  rests: boolean
}>

export interface Reputation {
  standing(peer: PeerId): Standing
  /** A peer's word against another. */
  accuse(by: Accuser, evidence: Misbehaviour): void
  refused(peer: PeerId, fault: Fault): void
  /** Whom peers accuse, though not enough of them for a ban. */
  suspects(): readonly Suspect[]
  /** Looks at all there is. Called each few seconds from `start` on. */
  look(): void
  start(): void
  stop(): Promise<void>
}

export type ReputationInit = Readonly<{ probationMs: number }>

export type ReputationComponents = Readonly<{
  store: Store
  bans: Pick<BanBook, 'ban' | 'isBanned' | 'get'>
  nodes: () => ReadonlyMap<PeerId, NodeView>
  /** Records with an older epoch that may still run somewhere. */
  leaving: () => readonly SlotRecord[]
  classOf: (name: string, vramBytes: number) => string | undefined
  audit: AuditSink
  clock: Clock
  /** Coordinator's time. */
  nowMs: () => number
  logger: Logger
}>

const dayMs = 86_400_000
const lookMs = 5_000
const flushMs = 5 * 60_000
/** Households count that were here within it. */
const householdMs = 7 * dayMs
/** A ban that was found out automatically: a week, four times as long each time, then for good. */
const banMs = 7 * dayMs
const banTimesMax = 4
/** The same offence is counted again only after it. */
const againMs = 10 * 60_000
/** Words by which an honest node refuses: it stops, it was restarted, the order came late or twice. */
const rightRefusals = new Set([
  ...['NODE_STOPPING', 'TIME_UNKNOWN', 'EXPIRED', 'NOT_YET_VALID', 'STALE_EPOCH', 'STALE_TERM'],
  ...[
    'UNKNOWN_TERM',
    'CONFLICTING_ORDER',
    'UNSEAL_FAILED',
    'GROUP_ALREADY_HERE',
    'ORDERS_TOO_LARGE',
  ],
])

export async function openReputation(
  init: ReputationInit,
  components: ReputationComponents,
): Promise<Reputation> {
  const { store, bans, nodes, leaving, classOf, audit, clock, nowMs, logger } = components
  const records = await openNodeRecords({ store })
  const claims = createGpuClaims({ classOf })
  const counted = new LRUCache<string, number>({ max: 50_000 })
  const banning = new Set<PeerId>()
  const stopped = new AbortController()
  let households: ReadonlyMap<string, number> = new Map()
  let flushedMs = nowMs()
  let running: Promise<void> = Promise.resolve()

  // What lapsed before this start was counted then.
  for (const { key } of lapsesIn(leaving())) counted.set(`lapse ${key}`, Number.POSITIVE_INFINITY)

  /** Each household's standing: that of its best node. */
  const countHouseholds = (): void => {
    const best = new Map<string, number>()
    for (const { household, lastMs, goodMs } of records.services.values()) {
      if (nowMs() - lastMs > householdMs) continue
      const standing = init.probationMs === 0 ? 1 : Math.min(1, goodMs / init.probationMs)
      best.set(household, Math.max(best.get(household) ?? 0, standing))
    }
    households = best
  }
  const ban = (peer: PeerId, source: BanRequest['source'], texts: readonly string[]): void => {
    if (bans.isBanned(peer) || banning.has(peer)) return
    banning.add(peer)
    const times = bans.get(peer)?.times ?? 0
    const forMs = times >= banTimesMax ? undefined : banMs * 4 ** times
    const evidence = texts.map((text) => ({ source, by: 'coordinator', text }))
    bans
      .ban({ peer, source, by: 'coordinator', evidence, ...(forMs === undefined ? {} : { forMs }) })
      .catch((error: unknown) => logger.warn({ peer, source, error }, 'a peer could not be banned'))
      .finally(() => banning.delete(peer))
  }
  const note = (node: PeerId, kind: OffenceKind, text: string): void => {
    const service = records.services.get(node)
    if (!service) return
    const { conduct, ban: isLast } = offend(records.conductOf(node) ?? spotless, kind, nowMs())
    records.set(faulted(service))
    records.setConduct(node, conduct)
    logger.warn({ node, kind, text, restsUntilMs: conduct.restsUntilMs }, 'a node is at fault')
    const source = banSourceOf[kind]
    if (isLast && source) ban(node, source, [text])
  }
  /** Whether it counts now; then not again within `forMs`. */
  const once = (key: string, forMs: number): boolean => {
    if ((counted.get(key) ?? 0) > nowMs()) return false
    counted.set(key, nowMs() + forMs)
    return true
  }
  const serve = (view: NodeView): void => {
    const { node, household } = view
    const before = records.services.get(node)
    const isAtFault = (records.conductOf(node)?.restsUntilMs ?? 0) > nowMs()
    const after = served(before, { node, household, isAtFault }, nowMs())
    records.set(after)
    const { probationMs } = init
    if (before && !isOnProbation(before, probationMs)) return
    const isOver = !isOnProbation(after, probationMs)
    if (before && !isOver) return
    const act = isOver ? 'probation-ended' : 'probation-began'
    const facts = { household, goodMs: after.goodMs }
    audit({ act, by: 'coordinator', subject: node, facts }).catch((error: unknown) =>
      logger.error({ node, act, error }, 'the audit log takes nothing'),
    )
  }
  const lookAtGpus = ({ node, household, capacity }: NodeView): void => {
    if (!capacity || capacity.gpus.length === 0) return
    for (const { kind, text } of claims.see({ node, household, gpus: capacity.gpus }, nowMs())) {
      if (kind === 'gpu-changed' || once(`gpu ${node} ${text}`, againMs)) note(node, kind, text)
    }
  }
  const look = (): void => {
    const all = nodes()
    let here = 0
    for (const view of all.values()) {
      if (!view.connected || view.banned) continue
      here++
      serve(view)
      lookAtGpus(view)
    }
    for (const { node, slot, forMs } of overdueStops(leaving(), all, nowMs())) {
      if (!once(`stop ${node} ${slot}`, againMs)) continue
      const minutes = Math.round(forMs / 60_000)
      note(node, 'not-stopped', `slot ${slot} is shown ${minutes} minutes after the order to stop`)
    }
    const fresh = lapsesIn(leaving()).filter(({ key }) => once(`lapse ${key}`, Infinity))
    for (const { node, key } of ownLapses(fresh, here)) note(node, 'lapse', `its lease of ${key}`)
    countHouseholds()
  }
  const accusations = createAccusationDesk({
    ...{ ban, nowMs, logger },
    isBanned: (peer) => bans.isBanned(peer),
    households: () => households,
    householdOf: (peer) => records.services.get(peer)?.household ?? '',
  })
  const run = async (): Promise<void> => {
    const { signal } = stopped
    while (!signal.aborted) {
      try {
        look()
        accusations.look()
        if (nowMs() - flushedMs >= flushMs) {
          flushedMs = nowMs()
          await records.flush()
        }
      } catch (error) {
        logger.error({ error }, 'a look at the nodes failed')
      }
      await clock.sleep(lookMs, { signal }).catch(() => undefined)
    }
  }
  return {
    standing(peer) {
      const isNew = isOnProbation(records.services.get(peer), init.probationMs)
      return {
        probation: isNew || accusations.isSuspect(peer),
        rests: (records.conductOf(peer)?.restsUntilMs ?? 0) > nowMs(),
      }
    },
    accuse: accusations.accuse,
    refused(peer, { code, message }) {
      if (!rightRefusals.has(code)) note(peer, 'refusal', `${code}: ${message}`)
    },
    suspects: accusations.suspects,
    look,
    start() {
      running = run()
    },
    async stop() {
      stopped.abort()
      await running
      await records.flush()
    },
  }
}
