/**
 * Judges leases by what is known, and finds out more while one has lapsed: asks peers for the newest
 * pulse, every few seconds at first. Nothing runs while all leases are renewed.
 */
import type { Clock } from '../../protocol/clock.ts'
import type { CoordinatorTime } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { dialPeer, type Mesh, type PeerAddress, peerIdOf } from '../../protocol/mesh/index.ts'
import { askPulse, type PulseKeeper } from '../../protocol/pulse/index.ts'
import { judgeLease, type LeaseFacts, type Verdict } from './judge-lease.ts'
import { createWitnesses, type Witnesses } from './witnesses.ts'

export interface LeaseWatch {
  /** What holds now; undefined while the coordinator's time is not known. */
  judge(lease: LeaseFacts): Verdict | undefined
  /** Undefined before an answer to a beat told it. */
  readonly otherHouseholds: number | undefined
  /** Takes what the coordinator told: how many others there are, and where it sees this node. */
  learn(told: Readonly<{ otherHouseholds?: number | undefined; seenAt?: string }>): void
  stop(): Promise<void>
}

export type LeaseWatchComponents = Readonly<{
  mesh: Mesh
  pulses: PulseKeeper
  time: Pick<CoordinatorTime, 'nowMs'>
  /** The public network of an address; undefined for what may be on this side of the line. */
  networkOf: (addr: string) => string | undefined
  /** It does not vouch for itself. */
  coordinator: () => PeerId
  /** Peers that may be dialled beside those that are connected. */
  known: () => readonly PeerAddress[]
  clock: Clock
  random: () => number
  logger: Logger
}>

/** In the first minute it is decided whether the own line is down. */
const hurryMs = 60_000
const hurriedPauseMs = 5_000
/** Well within the minute that no answer is borne. */
const pauseMs = 15_000
const askMs = 4_000
/** Of a round: those that are connected already, and those to dial for it. */
const connectedMax = 8
const dialledMax = 6

export function createLeaseWatch(components: LeaseWatchComponents): LeaseWatch {
  const { pulses, time, networkOf, clock, random, logger } = components
  let otherHouseholds: number | undefined
  let ownNetwork: string | undefined
  const witnesses = createWitnesses({ networkOf, ownNetwork: () => ownNetwork })
  const stopped = new AbortController()
  let lapsedSinceMs: number | undefined
  let dueMs = 0
  let round: Promise<void> | undefined

  const askSoon = (): void => {
    const nowMs = clock.nowMs()
    if (round || nowMs < dueMs || stopped.signal.aborted) return
    lapsedSinceMs ??= nowMs
    const isHurried = nowMs - lapsedSinceMs < hurryMs
    dueMs = nowMs + (isHurried ? hurriedPauseMs : pauseMs * (0.75 + random() / 2))
    round = askRound({ ...components, witnesses }, stopped.signal)
      .catch((error: unknown) => logger.warn({ error }, 'peers could not be asked for a pulse'))
      .finally(() => {
        round = undefined
      })
  }
  return {
    get otherHouseholds() {
      return otherHouseholds
    },
    learn(told) {
      otherHouseholds = told.otherHouseholds ?? otherHouseholds
      if (told.seenAt !== undefined) ownNetwork = networkOf(told.seenAt)
    },
    judge(lease) {
      const nowMs = time.nowMs()
      if (nowMs === undefined) return undefined
      const word = {
        // Looked at once a lease has lapsed, not before: see PulseKeeper.
        get pulse() {
          return pulses.newest?.pulse
        },
        ...{ otherHouseholds, ...witnesses.since(lease.leaseEndMs) },
      }
      const verdict = judgeLease(lease, word, nowMs)
      if (verdict.rule === 'leased') lapsedSinceMs = undefined
      else askSoon()
      return verdict
    },
    async stop() {
      stopped.abort(new Error('the node stops'))
      await round
    },
  }
}

/** Asks many at once; whoever answers is a witness, whatever it knows. */
async function askRound(
  components: LeaseWatchComponents & { readonly witnesses: Witnesses },
  stopped: AbortSignal,
): Promise<void> {
  const { mesh, pulses, time, witnesses, clock, logger } = components
  const signal = AbortSignal.any([stopped, clock.timeout(askMs)])
  await Promise.all(
    (await candidates(components)).map(async (peer) => {
      try {
        const connection = await dialPeer(mesh, peer, { signal, relayed: true })
        const { pulse } = await askPulse(connection, { signal })
        const nowMs = time.nowMs()
        if (nowMs !== undefined) witnesses.heard(connection.remoteAddr.toString(), nowMs)
        if (pulse) pulses.take(pulse)
      } catch (error) {
        logger.debug({ peer: peer.peer, error }, 'a peer told no pulse')
      }
    }),
  )
}

/** Drawn anew each time: no few peers decide, and none is asked by all. */
async function candidates(parts: LeaseWatchComponents): Promise<readonly PeerAddress[]> {
  const { mesh, random, known } = parts
  const skip = new Set([parts.coordinator(), peerIdOf(mesh.peerId)])
  const fresh = (peers: readonly PeerAddress[], max: number): readonly PeerAddress[] => {
    const chosen: PeerAddress[] = []
    for (const { at: peer } of peers
      .map((at) => ({ at, draw: random() }))
      .sort((a, b) => a.draw - b.draw)) {
      if (chosen.length >= max) break
      if (skip.has(peer.peer)) continue
      skip.add(peer.peer)
      chosen.push(peer)
    }
    return chosen
  }
  const connected = mesh
    .getConnections()
    .map(({ remotePeer }) => ({ peer: peerIdOf(remotePeer), addresses: [] }))
  const stored = (await mesh.peerStore.all()).map(({ id, addresses }) => ({
    peer: peerIdOf(id),
    addresses: addresses.map(({ multiaddr }) => multiaddr.toString()),
  }))
  const near = fresh(connected, connectedMax)
  const named = fresh(known(), dialledMax)
  const remembered = fresh(
    stored.filter(({ addresses }) => addresses.length > 0),
    dialledMax - named.length,
  )
  return [...near, ...named, ...remembered]
}
