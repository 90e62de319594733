/**
 * Round trips on the control connection while chunks are sent: what a call in the same home feels.
 * One stream of libp2p's ping is kept open and used again and again: opening one for each ping
 * would cost more than the ping, and measure the opening too.
 */
import type { Connection, Stream } from '@libp2p/interface'
import type { Clock } from '../../protocol/clock.ts'
import type { Logger } from '../../protocol/log/index.ts'

const pingProtocol = '/ipfs/ping/1.0.0'
const pingBytes = 32
const unansweredMax = 8
/** A ping that is not answered for so long tells already that others wait as long. */
const lateMs = 1_000
const openMs = 5_000

export interface RoundTrips {
  /** Sends one more, unless too many are unanswered. Never waits. */
  ping(): void
  /** Lets the stream go; the next ping opens another. */
  rest(): void
}

export type RoundTripsComponents = Readonly<{
  /** The connection on which the coordinator is spoken to, while there is one. */
  connection: () => Connection | undefined
  clock: Clock
  onRoundTrip: (ms: number) => void
  logger: Logger
}>

/** Opens nothing before the first ping. */
export function createRoundTrips(components: RoundTripsComponents): RoundTrips {
  const { connection, clock, onRoundTrip, logger } = components
  let stream: Stream | undefined
  let opening = false
  let unanswered: number[] = []
  let receivedBytes = 0

  const forget = (old: Stream): void => {
    if (stream !== old) return
    stream = undefined
    unanswered = []
    receivedBytes = 0
  }
  const take = (bytes: number): void => {
    receivedBytes += bytes
    for (; receivedBytes >= pingBytes; receivedBytes -= pingBytes) {
      const sentMs = unanswered.shift()
      if (sentMs !== undefined) onRoundTrip(clock.nowMs() - sentMs)
    }
  }
  const open = async (): Promise<void> => {
    const over = connection()
    if (!over || opening) return
    opening = true
    try {
      const opened = await over.newStream(pingProtocol, { signal: AbortSignal.timeout(openMs) })
      opened.addEventListener('message', ({ data }) => take(data.byteLength))
      opened.addEventListener('close', () => forget(opened))
      stream = opened
    } catch (error) {
      logger.debug({ error }, 'no round trips can be measured now')
    } finally {
      opening = false
    }
  }
  return {
    ping() {
      if (stream?.status !== 'open') {
        void open()
        return
      }
      const waitedMs = clock.nowMs() - (unanswered[0] ?? clock.nowMs())
      if (waitedMs > lateMs) onRoundTrip(waitedMs)
      if (unanswered.length >= unansweredMax) return
      unanswered.push(clock.nowMs())
      stream.send(new Uint8Array(pingBytes))
    },
    rest() {
      const old = stream
      if (!old) return
      forget(old)
      old.close().catch((error: Error) => old.abort(error))
    },
  }
}
