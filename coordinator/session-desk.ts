/**
 * What the coordinator says to a peer that speaks, and to whom it hands on what was said: the place
 * where sessions, which only observe, meet the parts that decide.
 */
import type { Hello } from '../protocol/control/index.ts'
import type { PeerId } from '../protocol/ids.ts'
import type { Logger } from '../protocol/log/index.ts'
import type { Network } from '../protocol/network/index.ts'
import type { TermCertificate } from '../protocol/orders/index.ts'
import { type AuditLog, createAuditWitness } from './audit/index.ts'
import type { BanBook } from './bans/index.ts'
import type { Chefs, ClaimDesk } from './chefs/index.ts'
import type { CacheDesk } from './images/index.ts'
import type { Lists, Pulses } from './orders/index.ts'
import type { PulseDesk, Reconciler, SlotBook } from './reconciler/index.ts'
import type { ReliabilityBook } from './reliability/index.ts'
import type { Reputation } from './reputation/index.ts'
import type { Restore } from './restore/index.ts'
import type { SecurityReview } from './security/index.ts'
import { createAccusations, type SessionDesk, type Sessions } from './sessions/index.ts'

export type SessionDeskParts = Readonly<{
  network: Network
  certificate: TermCertificate
  lists: Lists
  bans: BanBook
  chefs: Chefs
  audit: AuditLog
  book: SlotBook
  restore: Restore
  security: SecurityReview
  reputation: Reputation
  nowMs: () => number
  logger: Logger
  /** What itself needs sessions, and is there before the first peer is. */
  late: () => Readonly<{
    sessions: Sessions
    reconciler: Reconciler
    reliability: ReliabilityBook
    pulses: Pulses
    pulseDesk: PulseDesk
    cacheDesk: CacheDesk
    claimDesk: ClaimDesk
  }>
}>

export function createSessionDesk(parts: SessionDeskParts): SessionDesk {
  const { network, certificate, lists, bans, chefs, audit, book, restore, late } = parts
  const { security, reputation, nowMs, logger } = parts
  const { term } = certificate
  const logAccusation = createAccusations({ logger })
  /** Number 0 may also mean that it holds none. */
  const isNewestTold = (hello: Hello): boolean =>
    hello.term === term && hello.banNumber === bans.number && bans.number > 0
  const shareCacheAddrs = (peer: PeerId): void => {
    const { sessions } = late()
    const cache = sessions.caches.get(peer)
    if (!cache?.connected) return
    lists.setCacheAddrs(peer, cache.addrs).then(
      (roster) => roster && sessions.broadcast({ type: 'lists', roster }),
      (error: unknown) => logger.error({ error }, 'the roster could not be renewed'),
    )
  }
  const witness = createAuditWitness({
    ...{ audit, term, pinned: network, logger },
    onAhead: ({ number }, peer) => {
      logger.error(
        { peer, number, own: audit.count },
        'a peer holds a newer head of the audit log than this store: restore it under a new term',
      )
      restore.authority.lose('gone-back', `${peer} holds entry ${number} of the audit log`)
    },
  })
  return {
    welcome: (hello, { observedAddr, peer }) => {
      if (hello.term > term) {
        logger.error({ told: hello.term, term }, 'a peer knows of a newer coordinator')
      }
      if (hello.auditHead) void witness.take(peer, hello.auditHead)
      return {
        type: 'welcome',
        certificate: network.certificate,
        roster: lists.roster,
        ...(isNewestTold(hello) ? {} : { bans: bans.signed }),
        timeMs: nowMs(),
        dhtSecret: lists.dhtSecret,
        observedAddr,
        ...(audit.proof ? { auditHead: audit.proof.head } : {}),
        ...chefNamed(chefs.ownerOf(peer)?.name),
      }
    },
    admit(peer, hello) {
      const { slots, isRetired } = book
      restore.admit(peer, hello, { slots, isRetired, isForeign: late().pulses.isForeign })
    },
    renew: (peer, beat) => late().reconciler.renew(peer, beat),
    pulse: (household) => late().pulseDesk.tell(household),
    isCache: (peer) => lists.isCache(peer),
    isJudge: (peer) => lists.isCache(peer) || peer === certificate.coordinator,
    banned: (peer) => bans.isBanned(peer),
    reliability: (peer) => late().reliability.of(peer),
    onChange(peer) {
      if (late().sessions.nodes.has(peer)) late().reliability.look(peer)
      shareCacheAddrs(peer)
      late().reconciler.touchNode(peer)
    },
    onCacheMessage: (peer, message) => late().cacheDesk.onMessage(peer, message),
    onMisbehaviour(by, evidence) {
      const household = late().sessions.get(by)?.household ?? ''
      logAccusation(by, evidence)
      reputation.accuse({ peer: by, household, isTrusted: lists.isCache(by) }, evidence)
    },
    onRefusal: (peer, refusal) => reputation.refused(peer, refusal),
    standing: (peer) => reputation.standing(peer),
    onSecurityReport(peer, household, report) {
      const { id } = report
      security.take({ peer, household }, report).then(
        (taken) => taken && late().sessions.send(peer, { type: 'security-taken', id }),
        (error: unknown) => logger.error({ peer, id, error }, 'an alarm could not be taken'),
      )
    },
    onClaim: (...claim) => late().claimDesk(...claim),
  }
}

function chefNamed(chef: string | undefined): { chef?: string } {
  return chef === undefined ? {} : { chef }
}
