/** Answers who asks for a newer ban list, at a rate that keeps a megabyte from becoming a flood. */
import type { Connection, Stream } from '@libp2p/interface'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log/index.ts'
import { type Mesh, peerIdOf } from '../mesh/index.ts'
import { createKeyedRate } from '../nat/index.ts'
import { openChannel, type Signed } from '../wire/index.ts'
import { bansAnswerCodec, bansAskCodec, bansAskLimits, bansProtocol } from './wire.ts'

/** A slow home's megabyte. */
const answerMs = 20_000
/** For each peer: a few at once (bans come in bursts), then one each 20 s. */
const rate = { burst: 5, perS: 0.05 }
/** Long answers under way at once, over all peers. */
const answersMax = 32

export type ServeBansComponents = Readonly<{
  mesh: Mesh
  clock: Clock
  /** The newest list held, undefined before the first. */
  newest: () => { readonly number: number; readonly signed: Signed } | undefined
  logger: Logger
}>

/** Serves until the returned function is called. */
export async function serveBans(components: ServeBansComponents): Promise<() => Promise<void>> {
  const { mesh, clock, newest, logger } = components
  const within = createKeyedRate(rate)
  const ended = new AbortController()
  const running = new Set<Promise<void>>()

  const answer = async (stream: Stream, connection: Connection): Promise<void> => {
    const peer = peerIdOf(connection.remotePeer)
    const channel = openChannel(stream, {
      inbound: bansAskCodec,
      outbound: bansAnswerCodec,
      ...bansAskLimits,
    })
    const deadline = new AbortController()
    const timer = setTimeout(
      () => deadline.abort(new Error('asking for bans took too long')),
      answerMs,
    )
    const signal = AbortSignal.any([ended.signal, deadline.signal])
    try {
      const { message } = await channel.read({ signal })
      const held = newest()
      const isNewer =
        held !== undefined && (message.have === undefined || held.number > message.have)
      if (isNewer && !within(peer, clock.nowMs())) throw new Error('asked too often')
      await channel.write(isNewer ? { bans: held.signed } : {}, { signal })
      await channel.close({ signal })
    } catch (error) {
      channel.abort(error instanceof Error ? error : new Error(String(error)))
      if (!ended.signal.aborted) logger.debug({ peer, error }, 'a peer got no ban list')
    } finally {
      clearTimeout(timer)
    }
  }
  await mesh.handle(
    bansProtocol,
    (stream, connection) => {
      if (running.size >= answersMax) {
        stream.abort(new Error('too many ask for bans'))
        return
      }
      const answered = answer(stream, connection).finally(() => running.delete(answered))
      running.add(answered)
    },
    { maxInboundStreams: 4, maxOutboundStreams: 4, runOnLimitedConnection: true },
  )
  return async () => {
    if (ended.signal.aborted) return
    await mesh.unhandle(bansProtocol)
    ended.abort(new Error('the host stops'))
    await Promise.all(running)
  }
}
