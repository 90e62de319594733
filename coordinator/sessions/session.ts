/**
 * The coordinator's end of one peer's control stream: hello within a deadline, then messages at a
 * bounded rate, answers through a bounded queue; without a beat for longer than a lease it ends. Any
 * fault ends this stream alone.
 */
import type { Connection, Stream } from '@libp2p/interface'
import type { Clock } from '../../protocol/clock.ts'
import {
  controlLimits,
  type DownMessage,
  downCodec,
  type Hello,
  type UpMessage,
  upCodec,
} from '../../protocol/control/index.ts'
import { PotluckError } from '../../protocol/errors.ts'
import type { PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { openChannel } from '../../protocol/wire/index.ts'
import { SessionRefusedError } from './errors.ts'

/** What waits to be written before the peer counts as stuck. */
const unsentMax = 512
/** A node with 64 instances that all change at once, every few seconds. */
const messagesPerSecond = 50
const burstMax = 300
/** For the last word to leave before the stream is cut. */
const farewellMs = 500

export type SessionNumbers = Readonly<{ helloMs: number; silenceMs: number }>

export interface Session {
  readonly peer: PeerId
  readonly observedAddr: string
  /** Aborted when the stream has ended. */
  readonly signal: AbortSignal
  /** False when the stream has ended or takes no more. */
  send(message: DownMessage): boolean
  /** Ends it, with a last word if `error` is a refusal. Idempotent. */
  close(error: Error): void
}

export type SessionHandlers = Readonly<{
  /** Throws to refuse. */
  onHello(session: Session, hello: Hello): void
  /** Throws to end the stream. Must not wait. */
  onMessage(session: Session, message: Exclude<UpMessage, Hello>): void
  onEnd(session: Session): void
}>

/** Serves one stream until it ends. Never rejects. */
export async function serveSession(
  { stream, connection, peer }: Readonly<{ stream: Stream; connection: Connection; peer: PeerId }>,
  handlers: SessionHandlers,
  { helloMs, silenceMs }: SessionNumbers,
  { clock, logger }: Readonly<{ clock: Clock; logger: Logger }>,
): Promise<void> {
  const ended = new AbortController()
  const { signal } = ended
  const channel = openChannel(stream, { inbound: upCodec, outbound: downCodec, ...controlLimits })
  let unsent = 0
  const close = (error: Error): void => {
    if (signal.aborted) return
    const isRefusal = error instanceof PotluckError
    const fault = { code: isRefusal ? error.code : 'ENDED', message: error.message }
    const lastWord = isRefusal
      ? channel.write({ type: 'refused', fault }, { signal: clock.timeout(farewellMs) })
      : Promise.resolve()
    ended.abort(error)
    void lastWord
      .then(() => channel.close({ signal: clock.timeout(farewellMs) }))
      .catch(() => undefined)
      .then(() => clock.sleep(isRefusal ? farewellMs : 0))
      .then(() => channel.abort(error))
  }
  const session: Session = {
    peer,
    observedAddr: connection.remoteAddr.toString(),
    signal,
    send(message) {
      if (signal.aborted) return false
      if (unsent >= unsentMax) {
        close(new SessionRefusedError('TOO_SLOW', `${unsent} messages are unread`))
        return false
      }
      unsent++
      channel.write(message, { signal }).then(() => unsent--, close)
      return true
    },
    close,
  }
  const allow = createRate(clock)
  const startedMs = clock.nowMs()
  /** Only beats count: they replace what a peer shows, so one that never beats shows nothing true. */
  let beatenMs: number | undefined
  const watch = async (): Promise<void> => {
    for (;;) {
      const dueMs = beatenMs === undefined ? startedMs + helloMs : beatenMs + silenceMs
      const leftMs = dueMs - clock.nowMs()
      if (leftMs <= 0) break
      // One sleep a lease, not one a beat.
      await clock.sleep(Math.min(leftMs, silenceMs), { signal })
    }
    close(
      beatenMs === undefined
        ? new SessionRefusedError('HELLO_LATE', `no hello in ${helloMs} ms`)
        : new SessionRefusedError('SILENT', `no beat for ${silenceMs} ms`),
    )
  }
  watch().catch(() => undefined) // the stream has ended
  try {
    const { message: hello } = await channel.read({ signal })
    if (hello.type !== 'hello') {
      throw new SessionRefusedError('HELLO_EXPECTED', `the first message was ${hello.type}`)
    }
    beatenMs = clock.nowMs()
    handlers.onHello(session, hello)
    for (;;) {
      const { message } = await channel.read({ signal })
      if (message.type === 'beat') beatenMs = clock.nowMs()
      if (message.type === 'hello') throw new SessionRefusedError('HELLO_TWICE', 'a second hello')
      if (!allow()) throw new SessionRefusedError('TOO_FAST', `over ${messagesPerSecond} a second`)
      handlers.onMessage(session, message)
    }
  } catch (error) {
    logger.info({ peer, error }, 'a control stream ended')
    close(error instanceof Error ? error : new Error(String(error)))
  } finally {
    handlers.onEnd(session)
  }
}

/** A token bucket: whether one more message is within the rate. */
function createRate(clock: Clock): () => boolean {
  let tokens = burstMax
  let atMs = clock.nowMs()
  return () => {
    const nowMs = clock.nowMs()
    tokens = Math.min(burstMax, tokens + ((nowMs - atMs) * messagesPerSecond) / 1_000)
    atMs = nowMs
    if (tokens < 1) return false
    tokens--
    return true
  }
}
