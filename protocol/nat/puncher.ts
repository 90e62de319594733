/**
 * A home's side of hole punching: asks a rendezvous for a peer, or is called for one, meets there
 * from a punch port, and opens a direct connection at once with the other. It is what `dialPeer`
 * uses beside addresses.
 *
 * Whom it dials on whose word: only what a rendezvous of this network says, never a private address
 * unless the network allows it, so many at once, so many a minute, and a peer that could not be
 * reached is left alone for longer and longer.
 */
import type { Connection, Stream } from '@libp2p/interface'
import { LRUCache } from 'lru-cache'
import pLimit from 'p-limit'
import type { Clock } from '../clock.ts'
import type { PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import { type Mesh, type PeerAddress, peerIdOf } from '../mesh/index.ts'
import { openChannel } from '../wire/index.ts'
import type { Family } from './endpoint.ts'
import { PunchError, type PunchRefusal } from './errors.ts'
import { createKeyedRate } from './keyed-rate.ts'
import { createMeetingPoint, directTo, meetMs, reasonOf, say } from './meeting.ts'
import { punchCallCodec, punchCallProtocol, punchLimits, punchWillingCodec } from './punch-wire.ts'

const callMs = 4_000
const atOnceMax = 8
const calls = { burst: 40, perS: 1 }
/** After both were told and could not connect; doubled each time, for NATs change rarely. */
const backOffMs = 60_000
const backOffMaxMs = 3_600_000
/** After anything else: a peer may just be on its way to the rendezvous. */
const retryMs = 5_000
const lasting: ReadonlySet<PunchRefusal> = new Set(['FAILED', 'NO_COMMON_FAMILY'])
const peersMax = 2_000

export type PuncherComponents = Readonly<{
  mesh: Mesh
  /** Who may introduce us: the coordinator, then caches. */
  rendezvous: () => readonly PeerAddress[]
  clock: Clock
  /** Uniform in [0, 1). */
  random: () => number
  logger: Logger
}>

/** One punch, for all that wait for it; nobody left, it stops. */
type Asking = {
  readonly work: Promise<Connection>
  readonly stop: AbortController
  waiting: number
}

export interface Puncher {
  /**
   * A direct connection to a peer that is connected to a rendezvous of ours.
   * @throws {PunchError} @throws the signal's reason.
   */
  connect(peer: PeerId, options: { readonly signal: AbortSignal }): Promise<Connection>
  readonly counts: Readonly<{ punched: number; failed: number }>
  /** Whether a connection is one that both sides opened at once. */
  isPunched(connection: Connection): boolean
  stop(): Promise<void>
}

/**
 * Answers calls, and sets itself as the mesh's detour, until `stop()`.
 * @param allowPrivate private addresses may be dialled (a LAN, a test).
 */
export async function startPuncher(
  { allowPrivate }: Readonly<{ allowPrivate: boolean }>,
  { mesh, rendezvous, clock, random, logger }: PuncherComponents,
): Promise<Puncher> {
  const { inner } = mesh.services
  const point = createMeetingPoint({ allowPrivate }, { mesh, random })
  const limit = pLimit(atOnceMax)
  const stopped = new AbortController()
  const asking = new Map<PeerId, Asking>()
  const failures = new LRUCache<PeerId, { count: number; untilMs: number }>({ max: peersMax })
  const mayCall = createKeyedRate(calls)
  const counts = { punched: 0, failed: 0 }
  let called = 0

  const askAt = async (
    place: PeerAddress,
    peer: PeerId,
    families: readonly Family[],
    signal: AbortSignal,
  ): Promise<Connection> => {
    const there = directTo(mesh, place.peer)
    if (!there) throw new PunchError(peer, 'NO_RENDEZVOUS')
    const answer = await say(there, { t: 'ask', peer, families: [...families] }, signal)
    if (answer.t === 'refused' && answer.reason === 'UNDERWAY') return await arrival(peer, signal)
    if (answer.t !== 'wait') throw new PunchError(peer, reasonOf(answer))
    const { token, family } = answer
    try {
      return await point.meet(place, { peer, token, family }, signal)
    } catch (error) {
      const others = families.filter((other) => other !== family)
      const failed = error instanceof PunchError && error.reason === 'FAILED'
      if (!failed || others.length === 0 || signal.aborted) throw error
      return await askAt(place, peer, others, signal)
    }
  }

  /** The other asked for us meanwhile: its call brings the connection. */
  const arrival = async (peer: PeerId, signal: AbortSignal): Promise<Connection> => {
    const come = Promise.withResolvers<Connection>()
    const look = (): void => {
      const connection = directTo(mesh, peer)
      if (connection) come.resolve(connection)
    }
    const until = AbortSignal.any([signal, AbortSignal.timeout(meetMs)])
    const giveUp = (): void => come.reject(new PunchError(peer, 'FAILED'))
    until.addEventListener('abort', giveUp, { once: true })
    mesh.addEventListener('connection:open', look)
    try {
      if (until.aborted) giveUp()
      look()
      return await come.promise
    } finally {
      until.removeEventListener('abort', giveUp)
      mesh.removeEventListener('connection:open', look)
    }
  }

  const connect = async (peer: PeerId, given: AbortSignal): Promise<Connection> => {
    const before = failures.get(peer)
    if (before && clock.nowMs() < before.untilMs) throw new PunchError(peer, 'TOO_SOON')
    const signal = AbortSignal.any([given, AbortSignal.timeout(meetMs)])
    let last = new PunchError(peer, 'NO_RENDEZVOUS')
    for (const place of rendezvous()) {
      const families = place.peer === peer ? [] : point.familiesTo(place)
      if (families.length === 0 || !directTo(mesh, place.peer)) continue
      try {
        const connection = await askAt(place, peer, families, signal)
        counts.punched++
        failures.delete(peer)
        return connection
      } catch (cause) {
        last = cause instanceof PunchError ? cause : new PunchError(peer, 'FAILED', { cause })
        if (signal.aborted || last.reason !== 'NOT_HERE') break
      }
    }
    if (given.aborted) throw last
    const count = lasting.has(last.reason) ? (before?.count ?? 0) + 1 : 0
    const waitMs = count === 0 ? retryMs : Math.min(backOffMaxMs, backOffMs * 2 ** (count - 1))
    counts.failed++
    failures.set(peer, { count, untilMs: clock.nowMs() + waitMs })
    logger.debug({ peer, error: last, waitMs }, 'no hole could be punched')
    throw last
  }

  const begin = (peer: PeerId): Asking => {
    const stop = new AbortController()
    const signal = AbortSignal.any([stopped.signal, stop.signal])
    const work = limit(() => connect(peer, signal)).finally(() => forget(peer, work))
    const one = { work, stop, waiting: 0 }
    asking.set(peer, one)
    return one
  }
  const forget = (peer: PeerId, work: Promise<Connection>): void => {
    if (asking.get(peer)?.work === work) asking.delete(peer)
  }

  const onCall = async (stream: Stream, connection: Connection): Promise<void> => {
    const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(callMs)])
    const channel = openChannel(stream, {
      ...{ inbound: punchCallCodec, outbound: punchWillingCodec, ...punchLimits },
    })
    try {
      const place = rendezvous().find(({ peer }) => peer === peerIdOf(connection.remotePeer))
      const { message } = await channel.read({ signal })
      const { from: peer, token, families } = message
      // Not the places of our own: two that have many to ask would refuse one another.
      const within = called < atOnceMax && mayCall('all', clock.nowMs())
      const family = place && point.familiesTo(place).find((one) => families.includes(one))
      const willing = place && within && !directTo(mesh, peer)
      const reason = willing ? 'NO_COMMON_FAMILY' : 'UNWILLING'
      await channel.write(willing && family ? { family } : { reason }, { signal })
      await channel.close({ signal })
      if (!willing || !family) return
      const until = AbortSignal.any([stopped.signal, AbortSignal.timeout(meetMs)])
      called++
      await point.meet(place, { peer, token, family }, until).finally(() => called--)
      counts.punched++
    } catch (error) {
      logger.debug({ error }, 'a call to punch led to nothing')
      stream.abort(error instanceof Error ? error : new Error(String(error)))
    }
  }

  await mesh.handle(punchCallProtocol, (stream, connection) => onCall(stream, connection), {
    maxInboundStreams: 40,
    runOnLimitedConnection: false,
  })
  const puncher: Puncher = {
    ...{ counts, isPunched: point.isPunched },
    async connect(peer, { signal }) {
      const one = asking.get(peer) ?? begin(peer)
      one.waiting++
      try {
        return await unless(one.work, signal)
      } finally {
        one.waiting--
        if (one.waiting === 0) {
          forget(peer, one.work)
          one.stop.abort(new Error('nobody waits for it'))
        }
      }
    },
    async stop() {
      stopped.abort(new Error('the puncher was stopped'))
      if (inner.detour === puncher.connect) inner.detour = undefined
      await mesh.unhandle(punchCallProtocol)
      await Promise.allSettled([...asking.values()].map(({ work }) => work))
    },
  }
  inner.detour = puncher.connect
  return puncher
}

/** `work`, or the signal's reason; the work goes on for others. */
async function unless<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
    work.catch(() => undefined)
  }
}
