/**
 * The asking side of one stream to one holder, shared by all downloads that want something of it.
 * It matches what comes with what was asked: a chunk nobody asked for is a breach of the protocol,
 * a chunk that was cancelled on its way is not.
 */
import { LRUCache } from 'lru-cache'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { Run } from '../bundle/index.ts'
import type { BundleId, PeerId } from '../ids.ts'
import type { PeerAddress } from '../mesh/index.ts'
import { type Channel, ChannelClosedError, openChannel, type Signed } from '../wire/index.ts'
import type { ChunkStream } from './chunk-stream.ts'
import { ProtocolBreachError, TooManyRequestsError } from './errors.ts'
import {
  type Answer,
  type Ask,
  answerBufferedBytes,
  answerCodec,
  answerFrameBytes,
  askCodec,
  type LinkRates,
  type RefusalCode,
} from './wire.ts'

/** Asks that the holder has not taken from the stream; credits keep an honest use far below. */
const unsentAsksMax = 1024
/** Cancelled requests whose chunks may still come. */
const cancelledMax = 512

/** What a download hears from one holder. Called synchronously, in the order of the stream. */
export interface RequesterListener {
  onJoined(peer: PeerId, joined: JoinedAnswer): void
  onDescriptor(peer: PeerId, offset: number, body: Uint8Array): void
  onHave(peer: PeerId, runs: readonly number[]): void
  /** Others that showed the holder a ticket for this bundle: hints, not to be believed. */
  onPeers(peer: PeerId, others: readonly PeerAddress[]): void
  /**
   * `body`: the chunks of `run`, one behind the other. `asked`: the request is live; else it was
   * cancelled while they were on their way.
   */
  onChunks(peer: PeerId, id: number, run: Run, body: Uint8ArrayList, asked: boolean): void
  onRefused(peer: PeerId, code: RefusalCode, id?: number, chunk?: number): void
  /** The stream ended; nothing more comes. */
  onClosed(peer: PeerId, error: Error): void
}

/** What a holder says of itself. */
export type JoinedAnswer = Readonly<{ descriptorBytes: number; held: Uint8Array } & LinkRates>

/** What a requester says of itself when it joins. */
export type Introduction = Readonly<{ ticket: Signed; held?: Uint8Array } & LinkRates>

/** `due`: chunks that were asked for and have not come. */
type Request = { readonly bundle: BundleId; readonly due: Set<number> }

/** The requester's end of a stream to one holder. */
export class RequesterSession {
  readonly peer: PeerId
  /** Whether the holder reads what we hold from our requests. */
  readonly newsRides: boolean
  readonly #channel: Channel<Answer, Ask>
  readonly #listeners = new Map<BundleId, RequesterListener>()
  /** Our short names for the bundles of this stream. */
  readonly #numbers = new Map<BundleId, number>()
  /** Counts up with each answer: whoever waits sees that the holder lives. */
  answers = 0
  readonly #requests = new Map<number, Request>()
  readonly #cancelled = new LRUCache<number, Request>({ max: cancelledMax })
  readonly #ended = new AbortController()
  readonly #onIdle: () => void
  readonly #nowMs: () => number
  /** Chunks that have come, and when the newest did. */
  #got = 0
  #gotAtMs = 0
  #nextId = 1
  #nextNumber = 1
  #unsent = 0

  /** @param onIdle called when no download is left; the session may be closed then. */
  constructor(
    { bytes, newsRides }: ChunkStream,
    peer: PeerId,
    onIdle: () => void,
    nowMs: () => number,
  ) {
    this.peer = peer
    this.newsRides = newsRides
    this.#onIdle = onIdle
    this.#nowMs = nowMs
    this.#channel = openChannel(bytes, {
      inbound: answerCodec,
      outbound: askCodec,
      maxFrameBytes: answerFrameBytes,
      maxBufferedBytes: answerBufferedBytes,
    })
  }

  get open(): boolean {
    return !this.#ended.signal.aborted
  }

  /** Reads until the stream ends, and tells every download. Never throws. */
  async run(): Promise<Error> {
    const { signal } = this.#ended
    try {
      for (;;) {
        const { message, body } = await this.#channel.read({ signal })
        this.#handle(message, body)
      }
    } catch (error) {
      const reason: unknown = signal.aborted ? signal.reason : error
      this.#end(reason instanceof Error ? reason : new Error(String(reason)))
      return signal.reason
    }
  }

  /** Asks to join; also with a newer ticket for a bundle that was joined. @throws it has ended. */
  join(bundle: BundleId, introduction: Introduction, listener: RequesterListener): void {
    this.#ended.signal.throwIfAborted()
    this.#listeners.set(bundle, listener)
    const number = this.#numbers.get(bundle) ?? this.#nextNumber++
    this.#numbers.set(bundle, number)
    this.#ask({ t: 'join', bundle, number, ...introduction })
  }

  /** Tells the holder what we have by now. Resolves when the stream took it. @throws it has ended. */
  async have(bundle: BundleId, runs: number[]): Promise<void> {
    const number = this.#numbers.get(bundle)
    if (number === undefined) return
    await this.#channel.write({ t: 'have', number, runs }, { signal: this.#ended.signal })
  }

  /** Ends one download's part; the last one's end makes the session idle. */
  leave(bundle: BundleId): void {
    if (!this.#listeners.delete(bundle)) return
    this.#numbers.delete(bundle)
    for (const [id, request] of this.#requests) {
      if (request.bundle === bundle) this.#forget(id, request)
    }
    if (this.open) this.#ask({ t: 'leave', bundle })
    if (this.#listeners.size === 0) this.#onIdle()
  }

  /**
   * Asks for a run of chunks. Returns the id that the chunks come with.
   * @param runs what we hold by now, as in {@link have}
   */
  request(bundle: BundleId, run: Run, runs?: number[]): number {
    const id = this.#nextId
    this.#nextId = (this.#nextId % 2 ** 31) + 1
    const due = new Set<number>()
    for (let chunk = run.start; chunk < run.start + run.count; chunk++) due.add(chunk)
    this.#requests.set(id, { bundle, due })
    const gotMs = Math.round(this.#nowMs() - this.#gotAtMs)
    const came = this.#got > 0 ? { got: this.#got, gotMs } : {}
    const news = runs ? { runs } : {}
    this.#ask({ t: 'request', bundle, id, first: run.start, count: run.count, ...news, ...came })
    return id
  }

  /** Gives up what is left of a request. */
  cancel(id: number): void {
    const request = this.#requests.get(id)
    if (!request) return
    this.#forget(id, request)
    this.#ask({ t: 'cancel', id })
  }

  /**
   * Asks the holder to let go of what is left of a request. It stays open: what is on its way
   * comes, for the rest the holder says `CANCELLED`.
   */
  letGo(id: number): void {
    if (this.#requests.has(id)) this.#ask({ t: 'cancel', id })
  }

  requestDescriptor(bundle: BundleId, offset: number): void {
    this.#ask({ t: 'descriptor', bundle, offset })
  }

  /** Ends the stream in good order: what was asked is written, nothing more is read. */
  async close(options: { readonly signal: AbortSignal }): Promise<void> {
    if (!this.open) return
    await this.#channel.close(options)
    this.#end(new ChannelClosedError('chunk answer'))
  }

  abort(error: Error): void {
    this.#end(error)
  }

  #forget(id: number, request: Request): void {
    this.#requests.delete(id)
    this.#cancelled.set(id, request)
  }

  #handle(answer: Answer, body: Uint8ArrayList): void {
    const { peer } = this
    this.answers += 1
    if (answer.t === 'chunk') {
      const { id, number, count = 1, runs } = answer
      this.#chunks(id, { start: number, count }, body, runs)
      return
    }
    if (answer.t === 'have') {
      this.#listenerOf(answer.number)?.onHave(peer, answer.runs)
      return
    }
    const listener = this.#listeners.get(answer.bundle)
    // An answer that crossed our `leave`.
    if (!listener) return
    switch (answer.t) {
      case 'joined':
        listener.onJoined(peer, answer)
        return
      case 'descriptor':
        listener.onDescriptor(peer, answer.offset, body.subarray())
        return
      case 'peers':
        listener.onPeers(peer, answer.peers)
        return
      case 'refused':
        if (!this.#endRequest(answer.id) && answer.code === 'CANCELLED') return
        listener.onRefused(peer, answer.code, answer.id, answer.number)
        return
    }
  }

  #listenerOf(number: number): RequesterListener | undefined {
    for (const [bundle, own] of this.#numbers) {
      if (own === number) return this.#listeners.get(bundle)
    }
    return undefined
  }

  /** What is being read or sent already may still come. False: it was over, or there was none. */
  #endRequest(id: number | undefined): boolean {
    const request = id === undefined ? undefined : this.#requests.get(id)
    if (id === undefined || !request) return false
    this.#forget(id, request)
    return true
  }

  #chunks(id: number, run: Run, body: Uint8ArrayList, runs: readonly number[] | undefined): void {
    this.#got += run.count
    this.#gotAtMs = this.#nowMs()
    const live = this.#requests.get(id)
    const request = live ?? this.#cancelled.get(id)
    if (!request) throw new ProtocolBreachError(`chunk ${run.start} answers no request`)
    for (let chunk = run.start; chunk < run.start + run.count; chunk++) {
      if (request.due.delete(chunk)) continue
      throw new ProtocolBreachError(
        `chunk ${chunk} was not asked for in request ${id}, or came twice`,
      )
    }
    if (live?.due.size === 0) this.#requests.delete(id)
    const listener = this.#listeners.get(request.bundle)
    listener?.onChunks(this.peer, id, run, body, live !== undefined)
    if (runs && this.open) listener?.onHave(this.peer, runs)
  }

  #ask(ask: Ask): void {
    if (!this.open) return
    if (this.#unsent >= unsentAsksMax) {
      this.#end(new TooManyRequestsError('unsent asks', unsentAsksMax))
      return
    }
    this.#unsent += 1
    this.#channel
      .write(ask, { signal: this.#ended.signal })
      .catch((error: Error) => this.#end(error))
      .finally(() => {
        this.#unsent -= 1
      })
  }

  #end(error: Error): void {
    if (!this.open) return
    this.#ended.abort(error)
    this.#channel.abort(error)
    const listeners = [...this.#listeners.values()]
    this.#listeners.clear()
    this.#requests.clear()
    for (const listener of listeners) listener.onClosed(this.peer, error)
    this.#onIdle()
  }
}
