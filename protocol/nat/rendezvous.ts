/**
 * Introduces two peers that cannot dial one another: tells each the address that it sees the other
 * come from, and nothing else, and only where both are members, connected here, and both came.
 * Without the bounds in here it would be a way to learn homes' addresses and to aim homes at others.
 */
import { randomBytes } from 'node:crypto'
import type { Connection, Stream } from '@libp2p/interface'
import type { Clock } from '../clock.ts'
import type { PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import { type Mesh, peerIdOf, toLibp2pPeerId } from '../mesh/index.ts'
import { type Channel, openChannel } from '../wire/index.ts'
import {
  type Endpoint,
  endpointOf,
  type Family,
  formatEndpoint,
  isPrivateEndpoint,
} from './endpoint.ts'
import { createKeyedRate } from './keyed-rate.ts'
import {
  type PunchAnswer,
  type PunchAsk,
  punchAnswerCodec,
  punchAskCodec,
  punchCallCodec,
  punchCallProtocol,
  punchLimits,
  punchProtocol,
  punchWillingCodec,
} from './punch-wire.ts'

/** From the call to the last word. */
const meetingMs = 8_000
/** For how long the two dial, and are not introduced again. */
const dialMs = 3_500
const meetingsMax = 512
/** A home that joins a swarm asks for its 32 neighbours at once, and then now and then. */
const asksOfOne = { burst: 40, perS: 0.5 }
/** However many ask for it. */
const callsToOne = { burst: 64, perS: 1 }

type Refusal = Extract<PunchAnswer, { t: 'refused' }>['reason']
type PunchChannel = Channel<PunchAsk, PunchAnswer>
type Meeting = {
  readonly pair: readonly [PeerId, PeerId]
  readonly family: Family
  readonly arrived: Map<PeerId, { readonly channel: PunchChannel; readonly at: Endpoint }>
  readonly over: AbortController
}

export type RendezvousComponents = Readonly<{
  mesh: Mesh
  /** Whether a peer is of this network; others are introduced to nobody, and nobody to them. */
  isMember: (peer: PeerId) => boolean
  clock: Clock
  logger: Logger
}>

export interface Rendezvous {
  /** Pairs introduced since the start. */
  readonly introduced: number
  stop(): Promise<void>
}

/** Serves until `stop()`. @param allowPrivate private addresses may be told (a LAN, a test). */
export async function startRendezvous(
  { allowPrivate }: Readonly<{ allowPrivate: boolean }>,
  { mesh, isMember, clock, logger }: RendezvousComponents,
): Promise<Rendezvous> {
  const meetings = new Map<string, Meeting>()
  const pairs = new Set<string>()
  const mayAsk = createKeyedRate(asksOfOne)
  const mayCall = createKeyedRate(callsToOne)
  const stopped = new AbortController()
  let introduced = 0

  const refusalOf = (asker: PeerId, peer: PeerId): Refusal | undefined => {
    if (!mayAsk(asker, clock.nowMs())) return 'TOO_SOON'
    // One answer for strangers and for those who are away: who asks learns nothing.
    if (!isMember(asker) || !isMember(peer) || asker === peer) return 'NOT_HERE'
    if (pairs.has(pairKey(asker, peer))) return 'UNDERWAY'
    if (meetings.size >= meetingsMax) return 'BUSY'
    return undefined
  }

  const call = async (
    asker: PeerId,
    ask: Extract<PunchAsk, { t: 'ask' }>,
    token: Uint8Array,
    signal: AbortSignal,
  ): Promise<Family | Refusal> => {
    const [connection] = mesh
      .getConnections(toLibp2pPeerId(ask.peer))
      .filter(({ status, limits }) => status === 'open' && !limits)
    if (!connection) return 'NOT_HERE'
    if (!mayCall(ask.peer, clock.nowMs())) return 'TOO_SOON'
    const stream = await connection.newStream(punchCallProtocol, { signal })
    const channel = openChannel(stream, {
      ...{ inbound: punchWillingCodec, outbound: punchCallCodec, ...punchLimits },
    })
    await channel.write({ from: asker, token, families: ask.families }, { signal })
    const { message } = await channel.read({ signal })
    await channel.close({ signal })
    const { family, reason = 'UNWILLING' } = message
    return family !== undefined && ask.families.includes(family) ? family : reason
  }

  const onAsk = async (
    asker: PeerId,
    ask: Extract<PunchAsk, { t: 'ask' }>,
    signal: AbortSignal,
  ): Promise<PunchAnswer> => {
    const refusal = refusalOf(asker, ask.peer)
    if (refusal) return { t: 'refused', reason: refusal }
    const token = new Uint8Array(randomBytes(16))
    const over = new AbortController()
    const end = AbortSignal.any([stopped.signal, over.signal, AbortSignal.timeout(meetingMs)])
    const key = pairKey(asker, ask.peer)
    const id = Buffer.from(token).toString('hex')
    pairs.add(key)
    end.addEventListener(
      'abort',
      () => {
        pairs.delete(key)
        meetings.delete(id)
      },
      { once: true },
    )
    try {
      const found = await call(asker, ask, token, AbortSignal.any([signal, end]))
      if (typeof found === 'string') throw new Refused(found)
      meetings.set(id, { pair: [asker, ask.peer], family: found, arrived: new Map(), over })
      return { t: 'wait', token, family: found }
    } catch (error) {
      over.abort()
      logger.debug({ asker, peer: ask.peer, error }, 'two peers could not be introduced')
      return { t: 'refused', reason: error instanceof Refused ? error.reason : 'NOT_HERE' }
    }
  }

  /** Keeps the channel until the other has come; both are told in the same turn. */
  const onHere = async (
    peer: PeerId,
    { token }: Extract<PunchAsk, { t: 'here' }>,
    connection: Connection,
    channel: PunchChannel,
    signal: AbortSignal,
  ): Promise<void> => {
    const id = Buffer.from(token).toString('hex')
    const meeting = meetings.get(id)
    const at = endpointOf(connection.remoteAddr.toString())
    const refuse = async (reason: Refusal): Promise<void> => {
      await channel.write({ t: 'refused', reason }, { signal })
      await channel.close({ signal })
    }
    if (!meeting?.pair.includes(peer)) return await refuse('NOT_HERE')
    if (at?.family !== meeting.family || (isPrivateEndpoint(at) && !allowPrivate)) {
      return await refuse('NO_COMMON_FAMILY')
    }
    meeting.arrived.set(peer, { channel, at })
    const [a, b] = meeting.pair.map((one) => meeting.arrived.get(one))
    if (!a || !b) return
    meetings.delete(id)
    introduced++
    await Promise.all([
      a.channel.write({ t: 'go', address: formatEndpoint(b.at), first: true }, { signal }),
      b.channel.write({ t: 'go', address: formatEndpoint(a.at), first: false }, { signal }),
    ])
    // While they dial, the pair is not introduced again.
    setTimeout(() => meeting.over.abort(), dialMs).unref()
  }

  const serve = async (stream: Stream, connection: Connection): Promise<void> => {
    const peer = peerIdOf(connection.remotePeer)
    const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(meetingMs)])
    const channel: PunchChannel = openChannel(stream, {
      ...{ inbound: punchAskCodec, outbound: punchAnswerCodec, ...punchLimits },
    })
    try {
      const { message } = await channel.read({ signal })
      if (message.t === 'here') return await onHere(peer, message, connection, channel, signal)
      await channel.write(await onAsk(peer, message, signal), { signal })
      await channel.close({ signal })
    } catch (error) {
      channel.abort(error instanceof Error ? error : new Error(String(error)))
    }
  }

  await mesh.handle(punchProtocol, (stream, connection) => serve(stream, connection), {
    maxInboundStreams: 40,
    runOnLimitedConnection: false,
  })
  return {
    get introduced() {
      return introduced
    },
    async stop() {
      stopped.abort(new Error('the rendezvous was stopped'))
      await mesh.unhandle(punchProtocol)
    },
  }
}

class Refused extends Error {
  readonly reason: Refusal

  constructor(reason: Refusal) {
    super(reason)
    this.reason = reason
  }
}

function pairKey(a: PeerId, b: PeerId): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`
}
