/**
 * Dials peers back on request, so that each home learns whether it can be reached: libp2p's AutoNAT
 * wants answers from four /8 networks and never has them in a young network (swarm.md 3.3).
 *
 * What it may be made to dial: the address that the asker's own connection comes from, a few ports
 * of it, now and then; never a private address unless the network allows it.
 */
import type { Connection, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../clock.ts'
import type { PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import { type Mesh, peerIdOf } from '../mesh/index.ts'
import type { Signer } from '../signing/index.ts'
import { openChannel } from '../wire/index.ts'
import {
  type DialBackAnswer,
  type DialBackAsk,
  dialBackAnswerCodec,
  dialBackAskCodec,
  dialBackLimits,
  dialBackProtocol,
  verdictCodec,
} from './dial-back-wire.ts'
import { type Endpoint, endpointOf, formatEndpoint, isPrivateEndpoint, lineOf } from './endpoint.ts'
import { createKeyedRate } from './keyed-rate.ts'

/** A start, a new mapping of the router, another network; then about one in half an hour. */
const ofPeer = { burst: 8, perS: 1 / 60 }
/** A big household, or a carrier's NAT. */
const ofLine = { burst: 64, perS: 0.5 }
const atOnceMax = 64
const dialMs = 3_000
const askMs = 5_000

export type DialBackComponents = Readonly<{
  mesh: Mesh
  /** This host's identity. */
  signer: Signer
  clock: Clock
  wallMs: () => number
  logger: Logger
}>

/** Serves until the function that it resolves with is called. @param allowPrivate private addresses are dialled (a LAN, a test). */
export async function serveDialBack(
  { allowPrivate }: Readonly<{ allowPrivate: boolean }>,
  { mesh, signer, clock, wallMs, logger }: DialBackComponents,
): Promise<() => Promise<void>> {
  const withinPeer = createKeyedRate(ofPeer)
  const withinLine = createKeyedRate(ofLine)
  const stopped = new AbortController()
  const by = peerIdOf(mesh.peerId)
  let running = 0

  const answers = async (peer: PeerId, at: Endpoint): Promise<boolean> => {
    const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(dialMs)])
    try {
      // Past the dial queue, which might hand out the connection that the question came by.
      const target = multiaddr(`${formatEndpoint(at)}/p2p/${peer}`)
      const connection = await mesh.services.inner.transportManager.dial(target, { signal })
      await connection.close({ signal }).catch((error: Error) => connection.abort(error))
      return true
    } catch (error) {
      logger.debug({ peer, at: formatEndpoint(at), error }, 'a dial back had no answer')
      return false
    }
  }
  const answer = async (
    peer: PeerId,
    { ports, nonce }: DialBackAsk,
    connection: Connection,
  ): Promise<DialBackAnswer> => {
    const from = endpointOf(connection.remoteAddr.toString())
    if (!from || connection.limits || (isPrivateEndpoint(from) && !allowPrivate)) {
      return { refused: 'ADDRESS' }
    }
    const nowMs = clock.nowMs()
    if (!withinPeer(peer, nowMs) || !withinLine(lineOf(from), nowMs)) return { refused: 'TOO_SOON' }
    if (running >= atOnceMax) return { refused: 'BUSY' }
    running++
    try {
      const found = await Promise.all(
        [...new Set(ports)].map(async (port) =>
          (await answers(peer, { ...from, port })) ? [port] : [],
        ),
      )
      const verdict = { v: 1, peer, by, nonce, ip: from.ip, open: found.flat(), atMs: wallMs() }
      return { verdict: signer.sign('reach', verdictCodec.encode(verdict as never)) }
    } finally {
      running--
    }
  }
  const serve = async (stream: Stream, connection: Connection): Promise<void> => {
    const channel = openChannel(stream, {
      ...{ inbound: dialBackAskCodec, outbound: dialBackAnswerCodec, ...dialBackLimits },
    })
    const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(askMs)])
    try {
      const { message } = await channel.read({ signal })
      const said = await answer(peerIdOf(connection.remotePeer), message, connection)
      await channel.write(said, { signal })
      await channel.close({ signal })
    } catch (error) {
      channel.abort(error instanceof Error ? error : new Error(String(error)))
    }
  }
  await mesh.handle(dialBackProtocol, (stream, connection) => serve(stream, connection), {
    maxInboundStreams: 2,
    runOnLimitedConnection: false,
  })
  return async () => {
    stopped.abort(new Error('dial-backs are over'))
    await mesh.unhandle(dialBackProtocol)
  }
}
