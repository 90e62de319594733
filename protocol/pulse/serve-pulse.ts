/** Answers peers that ask for the newest pulse: bounded in streams, rate and size, from memory. */
import type { Connection, Stream } from '@libp2p/interface'
import type { Clock } from '../clock.ts'
import { type Mesh, peerIdOf } from '../mesh/index.ts'
import { createKeyedRate } from '../nat/index.ts'
import { openChannel } from '../wire/index.ts'
import type { PulseKeeper } from './pulse-keeper.ts'
import { pulseAnswerCodec, pulseAskCodec, pulseLimits, pulseProtocol } from './pulse-wire.ts'

/** A node asks each few seconds at first, then each twenty; see node/leases. */
const ofPeer = { burst: 10, perS: 0.25 }
/** All of a big network at once, when the coordinator is gone. */
const ofAll = { burst: 500, perS: 100 }
const answerMs = 5_000

/** Serves until the function that it resolves with is called. */
export async function servePulse({
  mesh,
  pulses,
  clock,
}: Readonly<{
  mesh: Mesh
  pulses: Pick<PulseKeeper, 'newest'>
  clock: Clock
}>): Promise<() => Promise<void>> {
  const withinPeer = createKeyedRate(ofPeer)
  const within = createKeyedRate(ofAll)
  const stopped = new AbortController()

  const serve = async (stream: Stream, connection: Connection): Promise<void> => {
    const nowMs = clock.nowMs()
    if (!withinPeer(peerIdOf(connection.remotePeer), nowMs) || !within('', nowMs)) {
      stream.abort(new Error('too many questions'))
      return
    }
    const channel = openChannel(stream, {
      ...{ inbound: pulseAskCodec, outbound: pulseAnswerCodec, ...pulseLimits },
    })
    const signal = AbortSignal.any([stopped.signal, clock.timeout(answerMs)])
    try {
      await channel.read({ signal })
      const pulse = pulses.newest?.signed
      await channel.write(pulse ? { pulse } : {}, { signal })
      await channel.close({ signal })
    } catch (error) {
      channel.abort(error instanceof Error ? error : new Error(String(error)))
    }
  }
  await mesh.handle(pulseProtocol, serve, { maxInboundStreams: 2, runOnLimitedConnection: true })
  return async () => {
    stopped.abort(new Error('this peer stops'))
    await mesh.unhandle(pulseProtocol)
  }
}
