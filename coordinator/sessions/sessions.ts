/**
 * All peers' sessions: who is connected, what each shows, and the way to speak to it. One session a
 * peer: a newer stream replaces the older, because the older may be a connection that died without
 * a word. Observation only; what to do about it is decided elsewhere.
 */
import type { Clock } from '../../protocol/clock.ts'
import {
  type Beat,
  controlProtocol,
  type DownMessage,
  type Hello,
  type Misbehaviour,
  type Renewal,
  type UpMessage,
  type Welcome,
} from '../../protocol/control/index.ts'
import type { NetworkId, PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { type Mesh, peerIdOf } from '../../protocol/mesh/index.ts'
import { SessionRefusedError } from './errors.ts'
import type { HouseholdOf } from './household.ts'
import { createKeyPool } from './key-pool.ts'
import { createMeasuredLinks } from './measured-links.ts'
import { PeerState } from './peer-state.ts'
import { type Session, type SessionNumbers, serveSession } from './session.ts'

/** A cache's answers. */
export type CacheMessage = Extract<
  UpMessage,
  Readonly<{ type: 'resolved' | 'ingest-progress' | 'ingested' }>
>

/** What the rest of the coordinator says to a peer that speaks. */
export type SessionDesk = Readonly<{
  welcome(peer: PeerId, hello: Hello, observedAddr: string): Welcome
  /** The leases that this beat renews. */
  renew(peer: PeerId, beat: Beat): readonly Renewal[]
  isCache(peer: PeerId): boolean
  /** Whether a peer's verdict on who can be dialled counts. */
  isJudge(peer: PeerId): boolean
  banned(peer: PeerId): boolean
  /** Something changed that a plan may depend on. */
  onChange(peer: PeerId): void
  onCacheMessage(peer: PeerId, message: CacheMessage): void
  onMisbehaviour(by: PeerId, evidence: Misbehaviour): void
}>

export type SessionsComponents = Readonly<{
  mesh: Mesh
  /** Boot clock. */
  clock: Clock
  /** Coordinator's time. */
  nowMs: () => number
  network: NetworkId
  /** This term's order key: held orders must be signed by it. */
  orderKey: Uint8Array
  householdOf: HouseholdOf
  desk: SessionDesk
  logger: Logger
}>

export interface Sessions {
  /** Nodes that said hello since the start, also those that left. */
  readonly nodes: ReadonlyMap<PeerId, PeerState>
  readonly caches: ReadonlyMap<PeerId, PeerState>
  get(peer: PeerId): PeerState | undefined
  /** False when the peer is not connected. */
  send(peer: PeerId, message: DownMessage): boolean
  /** To every connected peer. */
  broadcast(message: DownMessage): void
  /** One of the peer's one-time keys, used up by this. */
  takeKey(peer: PeerId): Uint8Array | undefined
  /** What was sealed to it never left: it may be used after all. */
  giveBackKey(peer: PeerId, key: Uint8Array): void
  /** Aborted when the peer's stream ends; undefined when there is none. */
  signalOf(peer: PeerId): AbortSignal | undefined
  start(): Promise<void>
  stop(): Promise<void>
}

/** Peers that are away and remembered; beyond, the longest silent are forgotten. */
const awayMax = 20_000

export function createSessions(numbers: SessionNumbers, components: SessionsComponents): Sessions {
  const { mesh, clock, nowMs, network, orderKey, householdOf, desk, logger } = components
  const nodes = new Map<PeerId, PeerState>()
  const caches = new Map<PeerId, PeerState>()
  const open = new Map<PeerId, Session>()
  const serving = new Set<Promise<void>>()
  const links = createMeasuredLinks()

  const stateOf = (peer: PeerId): PeerState | undefined => nodes.get(peer) ?? caches.get(peer)

  const onHello = (session: Session, hello: Hello): void => {
    const { peer, observedAddr } = session
    if (desk.banned(peer)) throw new SessionRefusedError('PEER_BANNED', 'this peer is banned')
    if (hello.role === 'cache' && !desk.isCache(peer)) {
      throw new SessionRefusedError(
        'NOT_IN_ROSTER',
        `this peer is no cache here; its id belongs into the coordinator's setting caches`,
      )
    }
    const pool = createKeyPool(peer, network)
    pool.offer(hello.keys, 'hello')
    const all = hello.role === 'cache' ? caches : nodes
    const known = all.get(peer)
    const state = known ?? new PeerState(peer, hello.role, desk.banned, links.of)
    const strangers = state.takeHello(hello, orderKey)
    state.takeWhereabouts(hello, desk.isJudge)
    if (strangers > 0) logger.warn({ peer, strangers }, 'a node holds orders that are not ours')
    const other = hello.role === 'cache' ? nodes : caches
    other.delete(peer)
    all.set(peer, state)
    state.pool = pool
    state.household = householdOf(observedAddr)
    state.observedAddr = observedAddr
    state.lastSeenMs = clock.nowMs()
    state.helloMs = nowMs()
    open.get(peer)?.close(new SessionRefusedError('REPLACED', 'a newer stream took over'))
    open.set(peer, session)
    session.send(desk.welcome(peer, hello, observedAddr))
    state.connected = true
    const { role, held } = hello
    logger.info({ peer, role, held: held.length, household: state.household }, 'a peer is here')
    desk.onChange(peer)
  }

  const onBeat = (session: Session, state: PeerState, beat: Beat): void => {
    const { peer } = session
    if (beat.keys) state.pool?.offer(beat.keys, 'beat')
    state.takeWhereabouts(beat, desk.isJudge)
    const before = offerOf(state)
    if (beat.capacity) state.capacity = beat.capacity
    state.bundles = new Set(beat.bundles)
    state.partial = new Set(beat.partial)
    const changed = state.takeBeat(beat.instances)
    const renewals = desk.renew(peer, beat)
    session.send({
      type: 'beat-answer',
      seq: beat.seq,
      timeMs: nowMs(),
      renewals: [...renewals],
      keysWanted: state.pool?.wantedCount ?? 0,
    })
    for (const evidence of beat.misbehaviour) desk.onMisbehaviour(peer, evidence)
    if (changed || beat.addrs || before !== offerOf(state)) desk.onChange(peer)
  }

  const onMessage = (session: Session, message: Exclude<UpMessage, Hello>): void => {
    const { peer } = session
    const state = stateOf(peer)
    if (!state || open.get(peer) !== session) return
    state.lastSeenMs = clock.nowMs()
    switch (message.type) {
      case 'beat':
        onBeat(session, state, message)
        return
      case 'report':
        if (state.takeReport(message.instance)) desk.onChange(peer)
        return
      case 'order-answer': {
        const { slot, term, epoch, refusal } = message
        if (!refusal) return // beats tell that it holds
        state.takeRefusal(slot, { term, epoch }, refusal)
        logger.warn({ peer, slot, epoch, refusal }, 'a node refused an order')
        desk.onChange(peer)
        return
      }
      case 'goodbye':
        // The stream stays open until the peer closes it: what it holds still has to stop.
        state.takeGoodbye(message.slots)
        logger.info({ peer, reason: message.reason, slots: message.slots }, 'a peer said goodbye')
        desk.onChange(peer)
        return
      default:
        if (state.role !== 'cache') {
          throw new SessionRefusedError('WRONG_ROLE', `${message.type} comes from caches only`)
        }
        if (message.type === 'link-tests') links.take(message, desk.onChange)
        else desk.onCacheMessage(peer, message)
    }
  }

  const onEnd = (session: Session): void => {
    const { peer } = session
    if (open.get(peer) !== session) return
    open.delete(peer)
    const state = stateOf(peer)
    if (state) state.connected = false
    forgetLongAway(nodes)
    desk.onChange(peer)
  }

  return {
    nodes,
    caches,
    get: stateOf,
    send: (peer, message) => open.get(peer)?.send(message) ?? false,
    broadcast(message) {
      for (const session of open.values()) session.send(message)
    },
    takeKey: (peer) => (open.has(peer) ? stateOf(peer)?.pool?.take() : undefined),
    giveBackKey: (peer, key) => stateOf(peer)?.pool?.giveBack(key),
    signalOf: (peer) => open.get(peer)?.signal,
    async start() {
      await mesh.handle(
        controlProtocol,
        (stream, connection) => {
          const peer = peerIdOf(connection.remotePeer)
          const served = serveSession(
            { stream, connection, peer },
            { onHello, onMessage, onEnd },
            numbers,
            { clock, logger },
          ).finally(() => serving.delete(served))
          serving.add(served)
        },
        // The second lets a peer replace a stream that hangs.
        { maxInboundStreams: 2, maxOutboundStreams: 1, runOnLimitedConnection: true },
      )
    },
    async stop() {
      await mesh.unhandle(controlProtocol)
      const reason = new SessionRefusedError('SHUTTING_DOWN', 'the coordinator stops; come back')
      for (const session of [...open.values()]) session.close(reason)
      await Promise.all(serving)
    },
  }
}

/** What a plan may depend on beside what is held: known at all, measured, how many bundles. */
function offerOf({ capacity, link, bundles }: PeerState): string {
  return `${capacity !== undefined} ${link !== undefined} ${bundles.size}`
}

function forgetLongAway(nodes: Map<PeerId, PeerState>): void {
  if (nodes.size <= awayMax) return
  const away = [...nodes.values()].filter(({ connected }) => !connected)
  away.sort((a, b) => a.lastSeenMs - b.lastSeenMs)
  for (const { node } of away.slice(0, nodes.size - awayMax)) nodes.delete(node)
}
