/**
 * All peers' sessions: who is connected, what each shows, and the way to speak to it. One session a
 * peer: a newer stream replaces the older, because the older may be a connection that died without
 * a word. Observation only; what to do about it is decided elsewhere.
 */
import type { Connection, Stream, StreamHandler } from '@libp2p/interface'
import type { Clock } from '../../protocol/clock.ts'
import {
  type Beat,
  type BeatAnswer,
  controlProtocol,
  type DownMessage,
  type Fault,
  type Hello,
  type Misbehaviour,
  type Renewal,
  type SecurityReport,
  type UpMessage,
  type Welcome,
} from '../../protocol/control/index.ts'
import type { NetworkId, PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { type Mesh, peerIdOf } from '../../protocol/mesh/index.ts'
import type { HouseholdOf } from '../../protocol/network/index.ts'
import type { Standing } from '../reputation/index.ts'
import type { CountryOf } from './countries.ts'
import { SessionRefusedError } from './errors.ts'
import { createHouseholdDoor, type HouseholdLimits } from './household-door.ts'
import { createKeyPool } from './key-pool.ts'
import { createMeasuredLinks } from './measured-links.ts'
import { type OpenAllocation, type PeerFacts, PeerState } from './peer-state.ts'
import { type Session, type SessionNumbers, serveSession } from './session.ts'

/** A cache's answers. */
export type CacheMessage = Extract<
  UpMessage,
  Readonly<{ type: 'resolved' | 'ingest-progress' | 'ingested' }>
>

/** What the rest of the coordinator says to a peer that speaks. */
export type SessionDesk = Readonly<{
  welcome(hello: Hello, at: Readonly<{ observedAddr: string; peer: PeerId }>): Welcome
  /** Looks at what the hello proves. @throws {SessionRefusedError} the peer cannot be served now. */
  admit(peer: PeerId, hello: Hello): void
  /** The leases that this beat renews. */
  renew(peer: PeerId, beat: Beat): readonly Renewal[]
  /** The newest pulse, and how many households there are beside this one. */
  pulse(household: string): Pick<BeatAnswer, 'pulse' | 'otherHouseholds'>
  isCache(peer: PeerId): boolean
  /** Whether a peer's verdict on who can be dialled counts. */
  isJudge(peer: PeerId): boolean
  banned(peer: PeerId): boolean
  /** How well a node stayed, from 0 to 1. */
  reliability?(peer: PeerId): number | undefined
  /** Something changed that a plan may depend on. */
  onChange(peer: PeerId): void
  onCacheMessage(peer: PeerId, message: CacheMessage): void
  onMisbehaviour(by: PeerId, evidence: Misbehaviour): void
  onRefusal(peer: PeerId, refusal: Fault): void
  standing(peer: PeerId): Standing
  /** A node's alarm. Must not throw. */
  onSecurityReport(by: PeerId, household: string, report: SecurityReport): void
  /** A node presents a claim code; answers by itself. */
  onClaim(node: PeerId, code: string, household: string): void
}>

export type SessionsComponents = Readonly<{
  mesh: Mesh
  /** Boot clock. */
  clock: Clock
  /** Coordinator's time. */
  nowMs: () => number
  network: NetworkId
  openAllocation: OpenAllocation
  householdOf: HouseholdOf
  householdLimits: HouseholdLimits
  countryOf: CountryOf
  /** Whose node it is: a chef's id. */
  chefOf: (peer: PeerId) => string | undefined
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
  /** Ends a banned peer's stream, with that as its last word. */
  refuse(peer: PeerId): void
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
  const { mesh, clock, nowMs, network, openAllocation, householdOf, desk, logger } = components
  const door = createHouseholdDoor(components.householdLimits)
  const nodes = new Map<PeerId, PeerState>()
  const caches = new Map<PeerId, PeerState>()
  const open = new Map<PeerId, Session>()
  const serving = new Set<Promise<void>>()
  const links = createMeasuredLinks()
  const about = { ...standingsOf(desk), chefOf: components.chefOf, measuredLink: links.of }
  let isStopping = false

  const stateOf = (peer: PeerId): PeerState | undefined => nodes.get(peer) ?? caches.get(peer)

  const onHello = (session: Session, hello: Hello): void => {
    const { peer, observedAddr } = session
    // One that comes while the others are being closed would be served for ever.
    if (isStopping) throw stoppingError()
    checkWelcome(peer, hello.role, desk)
    desk.admit(peer, hello)
    const pool = createKeyPool(peer, network)
    pool.offer(hello.keys, 'hello')
    const [all, other] = hello.role === 'cache' ? [caches, nodes] : [nodes, caches]
    const known = all.get(peer)
    const state = known ?? new PeerState(peer, hello.role, desk.banned, about)
    const strangers = state.takeHello(hello, openAllocation)
    if (hello.role === 'node') door.enter(householdOf(observedAddr), state)
    state.takeWhereabouts(hello, desk.isJudge)
    if (strangers > 0) logger.warn({ peer, strangers }, 'a node holds orders that are not ours')
    other.delete(peer)
    all.set(peer, state)
    state.pool = pool
    state.takeAddress(observedAddr, components)
    state.lastSeenMs = clock.nowMs()
    state.helloMs = nowMs()
    open.get(peer)?.close(new SessionRefusedError('REPLACED', 'a newer stream took over'))
    open.set(peer, session)
    session.send(desk.welcome(hello, session))
    state.connected = true
    const { role, held } = hello
    logger.info({ peer, role, held: held.length, household: state.household }, 'a peer is here')
    desk.onChange(peer)
  }

  const onBeat = (session: Session, state: PeerState, beat: Beat): void => {
    const { peer } = session
    const before = offerOf(state)
    if (beat.keys) state.pool?.offer(beat.keys, 'beat')
    state.takeWhereabouts(beat, desk.isJudge)
    if (beat.capacity) {
      state.capacity = beat.capacity
      door.changed(peer)
    }
    state.bundles = new Set(beat.bundles)
    state.partial = new Set(beat.partial)
    const changed = state.takeBeat(beat.instances)
    const renewals = desk.renew(peer, beat)
    session.send({
      type: 'beat-answer',
      seq: beat.seq,
      timeMs: nowMs(),
      renewals: [...renewals],
      ...desk.pulse(state.household),
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
      case 'order-answer':
        takeAnswer(state, message, { desk, logger })
        return
      case 'security-report':
        desk.onSecurityReport(peer, state.household, message)
        return
      case 'goodbye':
        takeGoodbye(state, message, { desk, logger })
        return
      case 'claim':
        checkRole(state, 'node', message)
        desk.onClaim(peer, message.code, state.household)
        return
      default:
        checkRole(state, 'cache', message)
        if (message.type === 'link-tests') links.take(message, desk.onChange)
        else desk.onCacheMessage(peer, message)
    }
  }

  const onEnd = (session: Session): void => {
    const { peer } = session
    if (open.get(peer) !== session) return
    open.delete(peer)
    door.leave(peer)
    const state = stateOf(peer)
    if (state) state.connected = false
    forgetLongAway(nodes)
    desk.onChange(peer)
  }

  const serve = (stream: Stream, connection: Connection): void => {
    const at = { stream, connection, peer: peerIdOf(connection.remotePeer) }
    const handlers = { onHello, onMessage, onEnd }
    const served = serveSession(at, handlers, numbers, { clock, logger }).finally(() =>
      serving.delete(served),
    )
    serving.add(served)
  }
  return {
    nodes,
    caches,
    get: stateOf,
    send: (peer, message) => open.get(peer)?.send(message) ?? false,
    broadcast(message) {
      for (const session of open.values()) session.send(message)
    },
    refuse: (peer) => open.get(peer)?.close(bannedError()),
    takeKey: (peer) => (open.has(peer) ? stateOf(peer)?.pool?.take() : undefined),
    giveBackKey: (peer, key) => stateOf(peer)?.pool?.giveBack(key),
    signalOf: (peer) => open.get(peer)?.signal,
    start: () => accept(mesh, serve),
    async stop() {
      isStopping = true
      await mesh.unhandle(controlProtocol)
      for (const session of [...open.values()]) session.close(stoppingError())
      await Promise.all(serving)
    },
  }
}

function standingsOf({ standing, reliability }: SessionDesk): PeerFacts {
  return { standing, reliability }
}

type Saying = Readonly<{ desk: SessionDesk; logger: Logger }>

function takeAnswer(
  state: PeerState,
  { slot, term, epoch, refusal }: Extract<UpMessage, Readonly<{ type: 'order-answer' }>>,
  { desk, logger }: Saying,
): void {
  if (!refusal) return // beats tell that it holds
  const { node: peer } = state
  state.takeRefusal(slot, { term, epoch }, refusal)
  logger.warn({ peer, slot, epoch, refusal }, 'a node refused an order')
  desk.onRefusal(peer, refusal)
  desk.onChange(peer)
}

/** The stream stays open until the peer closes it: what it holds still has to stop. */
function takeGoodbye(
  state: PeerState,
  { slots, reason }: Extract<UpMessage, Readonly<{ type: 'goodbye' }>>,
  { desk, logger }: Saying,
): void {
  const { node: peer } = state
  state.takeGoodbye(slots)
  logger.info({ peer, reason, slots }, 'a peer said goodbye')
  desk.onChange(peer)
}

async function accept(mesh: Mesh, serve: StreamHandler): Promise<void> {
  await mesh.handle(controlProtocol, serve, {
    // The second lets a peer replace a stream that hangs.
    ...{ maxInboundStreams: 2, maxOutboundStreams: 1, runOnLimitedConnection: true },
  })
}

function stoppingError(): SessionRefusedError {
  return new SessionRefusedError('SHUTTING_DOWN', 'the coordinator stops; come back')
}

function bannedError(): SessionRefusedError {
  return new SessionRefusedError('PEER_BANNED', 'this peer is banned; its operator may appeal')
}

/** @throws {SessionRefusedError} it is banned, or no cache here. */
function checkWelcome(peer: PeerId, role: Hello['role'], desk: SessionDesk): void {
  if (desk.banned(peer)) throw bannedError()
  if (role === 'node' || desk.isCache(peer)) return
  throw new SessionRefusedError(
    'NOT_IN_ROSTER',
    `this peer is no cache here; its id belongs into the coordinator's setting caches`,
  )
}

/** @throws {SessionRefusedError} a message of another role. */
function checkRole(state: PeerState, role: Hello['role'], { type }: UpMessage): void {
  if (state.role === role) return
  throw new SessionRefusedError('WRONG_ROLE', `${type} comes from ${role}s only`)
}

/** What a plan may depend on beside what is held: known at all, measured, how many bundles. */
function offerOf({ capacity, link, bundles, keys }: PeerState): string {
  return `${JSON.stringify(capacity)} ${link !== undefined} ${bundles.size} ${keys > 0}`
}

function forgetLongAway(nodes: Map<PeerId, PeerState>): void {
  if (nodes.size <= awayMax) return
  const away = [...nodes.values()].filter(({ connected }) => !connected)
  away.sort((a, b) => a.lastSeenMs - b.lastSeenMs)
  for (const { node } of away.slice(0, nodes.size - awayMax)) nodes.delete(node)
}
