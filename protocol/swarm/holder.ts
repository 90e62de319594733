/**
 * The answering side of one stream: tells a ticket holder what is here, and queues what it asks for
 * with the uploader. Whatever it keeps for a peer is bounded: a flood, or a peer that does not
 * read, ends its own stream.
 */
import type { Stream } from '@libp2p/interface'
import type { StoredBundle } from '../chunk-store/index.ts'
import type { Clock } from '../clock.ts'
import { errorCode } from '../errors.ts'
import type { BundleId, PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import { type Channel, openChannel } from '../wire/index.ts'
import { TooManyRequestsError } from './errors.ts'
import { TicketDesk, type VerifyTicket } from './ticket-desk.ts'
import { createTokenBucket } from './token-bucket.ts'
import type { UploadJob } from './upload-queue.ts'
import type { Requester, Uploader } from './uploader.ts'
import {
  type Answer,
  type Ask,
  answerCodec,
  askBufferedBytes,
  askCodec,
  askFrameBytes,
  descriptorPieceBytes,
  encodeRuns,
  type RefusalCode,
} from './wire.ts'

/** Batches a burst of new chunks into one message; 20 to 50 ms (swarm.md 2.4). */
const haveDelayMs = 30
/** Small answers that the peer has not taken; an honest one has a handful. */
const unreadAnswersMax = 64
/** Refusals for want of a ticket before the stream is ended. */
const refusalsMax = 64
/**
 * Answers that cost us more than the asker (a signature to check and a have-map, a refusal a
 * message): so many at once, for all the bundles of a session, then so many a second. Who asks
 * faster is read more slowly, until its own asks fill the stream.
 */
export const costlyAnswersBurst = 512
export const costlyAnswersPerS = 32

export type HolderComponents = Readonly<{
  bundleOf: (bundle: BundleId) => StoredBundle | undefined
  /** Its descriptor is on its way: who joins waits for it instead of being refused. */
  expects: (bundle: BundleId) => boolean
  /** What the peer is known to have itself, and need not be told. */
  peerHolds: (peer: PeerId, bundle: BundleId, chunk: number) => boolean
  onJoin: (peer: PeerId, bundle: BundleId) => void
  onSent: (peer: PeerId, bytes: number) => void
  verifyTicket: VerifyTicket
  timeMs: () => number | undefined
  uploader: Uploader
  clock: Clock
  logger: Logger
}>

type Joined = { bundle: StoredBundle | undefined; news: Set<number>; unsubscribe: () => void }

/** The holder's end of one requester's stream. */
export class HolderSession implements Requester {
  readonly peer: PeerId
  readonly #with: HolderComponents
  readonly #channel: Channel<Ask, Answer>
  readonly #desk: TicketDesk
  readonly #joined = new Map<BundleId, Joined>()
  readonly #ended = new AbortController()
  readonly #pace = createTokenBucket(costlyAnswersBurst)
  #unread = 0
  #refusals = 0
  #telling = false

  constructor(stream: Stream, peer: PeerId, components: HolderComponents) {
    this.peer = peer
    this.#with = components
    this.#desk = new TicketDesk(peer, components)
    this.#pace.setRate(costlyAnswersPerS, components.clock.nowMs())
    this.#channel = openChannel(stream, {
      inbound: askCodec,
      outbound: answerCodec,
      maxFrameBytes: askFrameBytes,
      maxBufferedBytes: askBufferedBytes,
    })
  }

  /** Answers until the stream ends. @throws what ended it, unless that was `stop` or a good close. */
  async run(): Promise<void> {
    const { signal } = this.#ended
    const { clock } = this.#with
    try {
      for (;;) {
        this.#handle((await this.#channel.read({ signal })).message)
        const waitMs = this.#pace.waitMs(1, clock.nowMs())
        if (waitMs > 0) await clock.sleep(waitMs, { signal })
      }
    } catch (error) {
      const reason: unknown = signal.aborted ? signal.reason : error
      this.#end(reason instanceof Error ? reason : new Error(String(reason)))
      throw reason
    }
  }

  /** Ends the stream at once; what is queued for it is dropped. */
  abort(error: Error): void {
    this.#end(error)
  }

  /** A bundle's descriptor has come: those who wait for it are told. */
  bundleReady(bundle: BundleId): void {
    const joined = this.#joined.get(bundle)
    // Another object: the store had dropped the bundle and has it again.
    if (!joined || joined.bundle === this.#with.bundleOf(bundle)) return
    try {
      this.#greet(bundle, joined)
    } catch (error) {
      this.#end(error as Error)
    }
  }

  sizeOf(job: UploadJob): number {
    const bundle = this.#with.bundleOf(job.bundle)
    if (!bundle) return 0
    if (job.kind === 'chunk') return bundle.layout.locate(job.number).travelBytes
    return Math.min(descriptorPieceBytes, bundle.descriptorBytes.length - job.offset)
  }

  async send(job: UploadJob): Promise<void> {
    try {
      const refusal = this.#desk.check(job.bundle)
      if (refusal) return this.#refuse(refusal, job)
      const bundle = this.#with.bundleOf(job.bundle)
      if (!bundle) return this.#refuse('UNKNOWN_BUNDLE', job)
      if (job.kind === 'descriptor') await this.#sendDescriptor(bundle, job.offset)
      else await this.#sendChunk(bundle, job)
    } catch (error) {
      if (!this.#ended.signal.aborted) this.#end(error as Error)
    }
  }

  async #sendDescriptor(bundle: StoredBundle, offset: number): Promise<void> {
    const body = bundle.descriptorBytes.subarray(offset, offset + descriptorPieceBytes)
    await this.#channel.write(
      { t: 'descriptor', bundle: bundle.id, offset },
      { body, signal: this.#ended.signal },
    )
    this.#with.onSent(this.peer, body.length)
  }

  async #sendChunk(bundle: StoredBundle, job: UploadJob & { kind: 'chunk' }): Promise<void> {
    const { signal } = this.#ended
    let body: Uint8Array
    try {
      body = await bundle.read(job.number, { signal })
    } catch (error) {
      signal.throwIfAborted()
      const gone = errorCode(error) === 'BUNDLE_REMOVED'
      this.#with.logger.debug({ error, chunk: job.number }, 'a requested chunk cannot be read')
      return this.#refuse(gone ? 'UNKNOWN_BUNDLE' : 'NOT_HELD', job)
    }
    await this.#channel.write({ t: 'chunk', id: job.id, number: job.number }, { body, signal })
    this.#with.onSent(this.peer, body.length)
  }

  #handle(ask: Ask): void {
    switch (ask.t) {
      case 'join':
        this.#join(ask)
        return
      case 'leave':
        this.#leave(ask.bundle)
        return
      case 'cancel':
        this.#with.uploader.queue.cancel(this, ask)
        return
      case 'request':
        this.#request(ask)
        return
      case 'descriptor':
        this.#requestDescriptor(ask)
        return
    }
  }

  #join({ bundle, ticket }: Ask & { t: 'join' }): void {
    this.#pace.take(1, this.#with.clock.nowMs())
    const refusal = this.#desk.present(bundle, ticket)
    if (refusal) {
      this.#refuse(refusal, { bundle })
      return
    }
    const here = this.#with.bundleOf(bundle) !== undefined
    if (!here && !this.#with.expects(bundle)) {
      this.#leave(bundle)
      this.#refuse('UNKNOWN_BUNDLE', { bundle })
      return
    }
    const joined = this.#joined.get(bundle) ?? {
      bundle: undefined,
      news: new Set(),
      unsubscribe: () => undefined,
    }
    this.#joined.set(bundle, joined)
    if (here) this.#greet(bundle, joined)
    this.#with.onJoin(this.peer, bundle)
  }

  #greet(id: BundleId, joined: Joined): void {
    const bundle = this.#with.bundleOf(id)
    if (!bundle) return
    joined.unsubscribe()
    joined.bundle = bundle
    joined.news.clear()
    joined.unsubscribe = bundle.onHeld((chunk) => {
      joined.news.add(chunk)
      this.#tellSoon()
    })
    this.#answer({
      t: 'joined',
      bundle: id,
      descriptorBytes: bundle.descriptorBytes.length,
      held: bundle.held.toBytes(),
    })
  }

  #leave(bundle: BundleId): void {
    this.#joined.get(bundle)?.unsubscribe()
    this.#joined.delete(bundle)
    this.#desk.leave(bundle)
    this.#with.uploader.queue.cancel(this, { bundle })
  }

  #request(ask: Ask & { t: 'request' }): void {
    const bundle = this.#admit(ask)
    if (!bundle) return
    for (let chunk = ask.first; chunk < ask.first + ask.count; chunk++) {
      if (chunk < bundle.layout.chunkCount && bundle.held.has(chunk)) continue
      this.#refuse('NOT_HELD', { ...ask, number: chunk })
      return
    }
    this.#with.uploader.queue.pushRun(this, ask)
    this.#with.uploader.pump()
  }

  #requestDescriptor(ask: Ask & { t: 'descriptor' }): void {
    const bundle = this.#admit({ bundle: ask.bundle })
    if (!bundle) return
    if (ask.offset >= bundle.descriptorBytes.length) {
      this.#refuse('NOT_HELD', { bundle: ask.bundle })
      return
    }
    this.#with.uploader.queue.pushDescriptor(this, ask.bundle, ask.offset)
    this.#with.uploader.pump()
  }

  #admit(ask: { bundle: BundleId; id?: number }): StoredBundle | undefined {
    const refusal = this.#desk.check(ask.bundle)
    const bundle = refusal ? undefined : this.#with.bundleOf(ask.bundle)
    if (!bundle) this.#refuse(refusal ?? 'UNKNOWN_BUNDLE', ask)
    return bundle
  }

  #refuse(code: RefusalCode, of: { bundle: BundleId; id?: number; number?: number }): void {
    if (code === 'NOT_HELD') this.#pace.take(1, this.#with.clock.nowMs())
    else if (++this.#refusals > refusalsMax) {
      throw new TooManyRequestsError('refusals', refusalsMax)
    }
    const { bundle, id, number } = of
    // What is left of a refused request will not be sent either.
    if (id !== undefined) this.#with.uploader.queue.cancel(this, { id })
    this.#answer({
      t: 'refused',
      bundle,
      code,
      ...(id === undefined ? {} : { id }),
      ...(number === undefined ? {} : { number }),
    })
  }

  #answer(answer: Answer): void {
    if (this.#unread >= unreadAnswersMax) {
      throw new TooManyRequestsError('unread answers', unreadAnswersMax)
    }
    this.#unread += 1
    this.#channel
      .write(answer, { signal: this.#ended.signal })
      .catch((error: Error) => this.#end(error))
      .finally(() => {
        this.#unread -= 1
      })
  }

  /** One batch at a time: while it is not taken, the next one grows (at most a bit a chunk). */
  #tellSoon(): void {
    if (this.#telling) return
    this.#telling = true
    const { signal } = this.#ended
    this.#with.clock
      .sleep(haveDelayMs, { signal })
      .then(() => this.#tell())
      .catch((error: Error) => this.#end(error))
      .finally(() => {
        this.#telling = false
        const more = [...this.#joined.values()].some(({ news }) => news.size > 0)
        if (more && !signal.aborted) this.#tellSoon()
      })
  }

  async #tell(): Promise<void> {
    const { signal } = this.#ended
    for (const [id, joined] of this.#joined) {
      const news = [...joined.news].filter((chunk) => !this.#with.peerHolds(this.peer, id, chunk))
      joined.news.clear()
      for (const runs of encodeRuns(news)) {
        await this.#channel.write({ t: 'have', bundle: id, runs }, { signal })
      }
    }
  }

  #end(error: Error): void {
    if (this.#ended.signal.aborted) return
    this.#ended.abort(error)
    for (const { unsubscribe } of this.#joined.values()) unsubscribe()
    this.#joined.clear()
    this.#with.uploader.remove(this)
    this.#channel.abort(error)
  }
}
