/**
 * The peer's end of the control stream: opens it to the coordinator, says hello, beats, hands on
 * what arrives, and opens it again when it breaks. It holds no state of allocations: hello and beat
 * are asked of the owner each time, so a new stream always starts from what is true now.
 */
import { setTimeout as timer } from 'node:timers/promises'
import type { Connection } from '@libp2p/interface'
import type { Clock } from '../clock.ts'
import { PotluckError } from '../errors.ts'
import type { PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import { createLink, type Link, type Mesh } from '../mesh/index.ts'
import { type Channel, openChannel } from '../wire/index.ts'
import { type BeatAnswer, type DownMessage, downCodec, type Welcome } from './down-messages.ts'
import { controlLimits, controlProtocol, leaseNumbers } from './protocol.ts'
import { type Beat, type Hello, type UpMessage, upCodec } from './up-messages.ts'

export type ControlHandlers = Readonly<{
  /** What this peer is and holds, now. */
  hello(): Promise<Hello>
  /** Verifies lists and certificate, takes the time. A throw ends the stream. */
  onWelcome(welcome: Welcome, sentMs: number): Promise<void>
  beat(): Omit<Beat, 'type' | 'seq'>
  /** `sentMs`: on the boot clock, when the beat left: a lease is counted from there. */
  onBeatAnswer(answer: BeatAnswer, sentMs: number): void
  /** Anything else. Must not wait: a slow handler would hold up the beats behind it. */
  onMessage(message: Exclude<DownMessage, Welcome | BeatAnswer>): void
  onDown(): void
}>

export type ControlLinkInit = Readonly<{
  coordinator: PeerId
  addresses: readonly string[]
  beatMs?: number
  /** Beats unanswered for this long mean a dead connection. */
  silenceMs?: number
  /** False: nothing here depends on the coordinator now, so that others may go first. */
  isUrgent?: () => boolean
  handlers: ControlHandlers
}>

export interface ControlLink {
  /** False when there is no stream, or it takes no more; nothing is queued for later. */
  send(message: UpMessage): boolean
  /** Sends a beat now instead of at the next tick. */
  beatNow(): void
  readonly isUp: boolean
  /** Flushes what was sent (a goodbye) for at most `flushMs`, then closes. */
  stop(options?: { readonly flushMs?: number }): Promise<void>
}

/** The coordinator closed the stream with a reason. */
export class ControlRefusedError extends PotluckError {
  constructor(code: string, message: string) {
    super('CONTROL_REFUSED', `the coordinator refuses this peer: ${message} (${code})`)
  }
}

/** What may wait to be written before the stream is taken for stuck. */
const unsentMax = 256
const handshakeMs = 10_000
const reopenMinMs = 250
const reopenMaxMs = 10_000

type Components = Readonly<{
  mesh: Mesh
  clock: Clock
  random: () => number
  logger: Logger
}>

/** Starts to connect at once and keeps at it until `stop()`. */
export function createControlLink(init: ControlLinkInit, components: Components): ControlLink {
  const { clock, random, logger, mesh } = components
  const stopped = new AbortController()
  const { signal } = stopped
  const link: Link = createLink(
    {
      ...{ peer: init.coordinator, addresses: init.addresses },
      ...(init.isUrgent ? { isUrgent: init.isUrgent } : {}),
    },
    { mesh, clock, random, logger, signal },
  )
  let session: Session | undefined

  const run = async (): Promise<void> => {
    for (let attempt = 0; !signal.aborted; attempt++) {
      const startedMs = clock.nowMs()
      try {
        const connection = await link.connected({ signal })
        session = createSession(init, connection, components)
        await session.run(signal)
      } catch (error) {
        if (signal.aborted) break
        logger.warn({ error }, 'the control stream ended')
      } finally {
        if (session) init.handlers.onDown()
        session = undefined
      }
      if (clock.nowMs() - startedMs > reopenMaxMs) attempt = 0
      const capMs = Math.min(reopenMaxMs, reopenMinMs * 2 ** Math.min(attempt, 8))
      await clock.sleep(random() * capMs, { signal }).catch(() => undefined)
    }
  }
  const running = run()
  return {
    send: (message) => session?.send(message) ?? false,
    beatNow: () => session?.beatNow(),
    get isUp() {
      return session?.isUp ?? false
    },
    async stop({ flushMs = 1_000 } = {}) {
      if (!signal.aborted) {
        await Promise.race([session?.flushed(), timer(flushMs, undefined, { ref: false })])
        stopped.abort(new Error('the control link was stopped'))
      }
      await running
      await link.stop()
    },
  }
}

type Session = Readonly<{
  run(signal: AbortSignal): Promise<void>
  send(message: UpMessage): boolean
  beatNow(): void
  flushed(): Promise<void>
  readonly isUp: boolean
}>

function createSession(init: ControlLinkInit, connection: Connection, parts: Components): Session {
  const { handlers, beatMs = leaseNumbers.beatMs, silenceMs = leaseNumbers.leaseMs } = init
  const { clock, logger } = parts
  const ended = new AbortController()
  let channel: Channel<DownMessage, UpMessage> | undefined
  let isUp = false
  let unsent = 0
  let lastWrite: Promise<unknown> = Promise.resolve()
  let seq = 0
  let answeredMs = 0
  const beatsSent = new Map<number, number>()
  let nap = new AbortController()

  const end = (error: Error): void => {
    if (ended.signal.aborted) return
    ended.abort(error)
    channel?.abort(error)
  }
  const send = (message: UpMessage): boolean => {
    if (!channel || ended.signal.aborted) return false
    if (unsent >= unsentMax) {
      end(new PotluckError('CONTROL_STUCK', `${unsent} messages to the coordinator are unsent`))
      return false
    }
    unsent++
    lastWrite = channel.write(message, { signal: ended.signal }).then(
      () => unsent--,
      (error: Error) => end(error),
    )
    return true
  }
  const beats = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      if (clock.nowMs() - answeredMs > silenceMs) {
        const error = new PotluckError('CONTROL_SILENT', `no answer for ${silenceMs} ms`)
        end(error)
        connection.abort(error)
        return
      }
      seq++
      beatsSent.set(seq, clock.nowMs())
      if (beatsSent.size > 16) beatsSent.delete(Math.min(...beatsSent.keys()))
      send({ type: 'beat', seq, ...handlers.beat() })
      nap = new AbortController()
      await clock
        .sleep(beatMs, { signal: AbortSignal.any([nap.signal, ended.signal]) })
        .catch(() => undefined)
    }
  }
  const take = (message: DownMessage): void => {
    if (message.type === 'welcome') return
    if (message.type === 'refused') {
      throw new ControlRefusedError(message.fault.code, message.fault.message)
    }
    if (message.type !== 'beat-answer') {
      handlers.onMessage(message)
      return
    }
    const sentMs = beatsSent.get(message.seq)
    if (sentMs === undefined) return
    for (const known of [...beatsSent.keys()]) if (known <= message.seq) beatsSent.delete(known)
    answeredMs = clock.nowMs()
    handlers.onBeatAnswer(message, sentMs)
  }
  const handshake = async (): Promise<Channel<DownMessage, UpMessage>> => {
    const signal = AbortSignal.any([ended.signal, clock.timeout(handshakeMs)])
    const stream = await connection.newStream(controlProtocol, {
      signal,
      runOnLimitedConnection: true,
    })
    channel = openChannel(stream, { inbound: downCodec, outbound: upCodec, ...controlLimits })
    const sentMs = clock.nowMs()
    await channel.write(await handlers.hello(), { signal })
    const { message } = await channel.read({ signal })
    if (message.type === 'refused') take(message)
    if (message.type !== 'welcome') {
      throw new PotluckError('CONTROL_NO_WELCOME', `first message was ${message.type}`)
    }
    await handlers.onWelcome(message, sentMs)
    return channel
  }
  return {
    get isUp() {
      return isUp && !ended.signal.aborted
    },
    send,
    beatNow: () => nap.abort(),
    async flushed() {
      await lastWrite
    },
    async run(signal) {
      const stop = (): void => end(new Error('stopped', { cause: signal.reason }))
      signal.addEventListener('abort', stop, { once: true })
      try {
        if (signal.aborted) stop()
        const open = await handshake()
        isUp = true
        answeredMs = clock.nowMs()
        logger.info({ coordinator: init.coordinator }, 'connected to the coordinator')
        void beats()
        for (;;) take((await open.read({ signal: ended.signal })).message)
      } catch (error) {
        end(error instanceof Error ? error : new Error(String(error)))
        throw error
      } finally {
        isUp = false
        signal.removeEventListener('abort', stop)
      }
    },
  }
}
