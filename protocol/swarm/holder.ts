/**
 * The answering side of one stream: tells a ticket holder what is here, and queues what it asks for
 * with the uploader. Whatever it keeps for a peer is bounded: a flood, or a peer that does not
 * read, ends its own stream.
 */
import type { Run } from '../bundle/index.ts'
import type { StoredBundle } from '../chunk-store/index.ts'
import type { Clock } from '../clock.ts'
import { errorCode } from '../errors.ts'
import type { BundleId, PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import { type Channel, openChannel, type Pace } from '../wire/index.ts'
import type { ChunkStream } from './chunk-stream.ts'
import { TooManyRequestsError } from './errors.ts'
import { type Audience, Guest } from './guest.ts'
import { HaveTeller } from './have-teller.ts'
import { TicketDesk, type VerifyTicket } from './ticket-desk.ts'
import { createTokenBucket, type TokenBucket } from './token-bucket.ts'
import { Unacknowledged } from './unacknowledged.ts'
import { UnreadAnswers } from './unread-answers.ts'
import type { ChunkJob, UploadJob } from './upload-queue.ts'
import type { Requester, Uploader } from './uploader.ts'
import {
  type Answer,
  type Ask,
  answerCodec,
  askBufferedBytes,
  askCodec,
  askFrameBytes,
  chunksBodyBytesMax,
  descriptorPieceBytes,
  type LinkRates,
  type RefusalCode,
} from './wire.ts'

/** Refusals for want of a ticket before the stream is ended. */
const refusalsMax = 64
/**
 * Answers that cost us more than the asker (a signature to check and a have-map, a refusal a
 * message): so many at once, for all the bundles of a session, then so many a second. Who asks
 * faster is read more slowly, until its own asks fill the stream.
 */
export const costlyAnswersBurst = 512
export const costlyAnswersPerS = 32
/** Asks read slowly, one after the other, until it is clear that they will not end. */
const throttledMax = 256
/** A `have` costs a walk over its runs and no answer: four a second a bundle are usual. */
const haveCost = 1 / 16

export type HolderComponents = Readonly<{
  bundleOf: (bundle: BundleId) => StoredBundle | undefined
  /** Its descriptor is on its way: who joins waits for it instead of being refused. */
  expects: (bundle: BundleId) => boolean
  /** What the peer is known to have itself, and need not be told. */
  peerHolds: (peer: PeerId, bundle: BundleId, chunk: number) => boolean
  onJoin: (peer: PeerId, bundle: BundleId) => void
  audience: Audience
  /** What we say of our own link. */
  linkRates: () => LinkRates
  /** What telling of new chunks may cost, over all sessions. */
  haveAllowance: TokenBucket
  /** How long news of chunks waits for more of it, where so many are held. */
  haveDelayMs: (heldChunks: number) => number
  onSent: (peer: PeerId, bytes: number) => void
  verifyTicket: VerifyTicket
  timeMs: () => number | undefined
  uploader: Uploader
  /** How what is sent now is spread over time; see `createSpread`. */
  pace?: () => Pace | undefined
  clock: Clock
  logger: Logger
}>

/** The holder's end of one requester's stream. */
export class HolderSession implements Requester {
  readonly peer: PeerId
  readonly #with: HolderComponents
  /** Whether the peer reads what we hold from chunks. */
  readonly #newsRides: boolean
  readonly #channel: Channel<Ask, Answer>
  readonly #desk: TicketDesk
  readonly #guests = new Map<BundleId, Guest>()
  readonly #ended = new AbortController()
  readonly #pace = createTokenBucket(costlyAnswersBurst)
  readonly #unread: UnreadAnswers
  readonly #unacknowledged = new Unacknowledged()
  #refusals = 0
  #throttled = 0

  constructor({ bytes, newsRides }: ChunkStream, peer: PeerId, components: HolderComponents) {
    this.#newsRides = newsRides
    this.peer = peer
    this.#with = components
    this.#desk = new TicketDesk(peer, components)
    this.#unread = new UnreadAnswers(components.clock)
    this.#pace.setRate(costlyAnswersPerS, components.clock.nowMs())
    this.#channel = openChannel(bytes, {
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
        if (this.#unread.crowded) await this.#unread.taken(signal)
        const waitMs = this.#pace.waitMs(1, clock.nowMs())
        this.#throttled = waitMs > 0 ? this.#throttled + 1 : Math.max(0, this.#throttled - 1)
        if (this.#throttled > throttledMax) throw new TooManyRequestsError('asks', throttledMax)
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
    const guest = this.#guests.get(bundle)
    const stored = this.#with.bundleOf(bundle)
    // Another object: the store had dropped the bundle and has it again.
    if (!guest || !stored || guest.stored === stored) return
    try {
      guest.greet(stored)
    } catch (error) {
      this.#end(error as Error)
    }
  }

  sizeOf(job: UploadJob): number {
    const bundle = this.#with.bundleOf(job.bundle)
    if (!bundle) return 0
    if (job.kind === 'chunk') return travelBytesOf(bundle, runOf(job))
    return Math.min(descriptorPieceBytes, bundle.descriptorBytes.length - job.offset)
  }

  async send(job: UploadJob): Promise<void> {
    try {
      const refusal = this.#desk.check(job.bundle)
      if (refusal) return this.#refuse(refusal, job)
      const bundle = this.#with.bundleOf(job.bundle)
      if (!bundle) return this.#refuse('UNKNOWN_BUNDLE', job)
      if (job.kind === 'descriptor') await this.#sendDescriptor(bundle, job.offset)
      else await this.#sendChunks(bundle, job)
    } catch (error) {
      if (!this.#ended.signal.aborted) this.#end(error as Error)
    }
  }

  async #sendDescriptor(bundle: StoredBundle, offset: number): Promise<void> {
    const body = bundle.descriptorBytes.subarray(offset, offset + descriptorPieceBytes)
    await this.#channel.write(
      { t: 'descriptor', bundle: bundle.id, offset },
      { body, signal: this.#ended.signal, pace: this.#with.pace?.() },
    )
    this.#with.onSent(this.peer, body.length)
  }

  async #sendChunks(bundle: StoredBundle, job: ChunkJob): Promise<void> {
    for (const run of splitRun(bundle, runOf(job))) {
      if (!(await this.#sendRun(bundle, job, run))) return
    }
  }

  /** False: it was refused, and the rest of the request with it. */
  async #sendRun(bundle: StoredBundle, job: ChunkJob, run: Run): Promise<boolean> {
    const { signal } = this.#ended
    const { start, count } = run
    const guest = this.#guests.get(bundle.id)
    let body: Uint8Array
    try {
      body = await bundle.readRun(run, { signal })
    } catch (error) {
      signal.throwIfAborted()
      if (count > 1) return await this.#sendOneByOne(bundle, job, run)
      const gone = errorCode(error) === 'BUNDLE_REMOVED'
      this.#with.logger.debug({ error, chunk: start }, 'a requested chunk cannot be read')
      this.#refuse(gone ? 'UNKNOWN_BUNDLE' : 'NOT_HELD', { ...job, number: start })
      return false
    }
    for (let chunk = start; guest && chunk < start + count; chunk++) {
      this.#with.audience.sending(guest, chunk)
    }
    this.#unacknowledged.sent(count, this.#with.clock.nowMs())
    const runs = this.#newsRides ? guest?.takeNews() : undefined
    await this.#channel.write(
      {
        ...{ t: 'chunk', id: job.id, number: start },
        ...(count > 1 ? { count } : {}),
        ...(runs ? { runs } : {}),
      },
      { body, signal, pace: this.#with.pace?.() },
    )
    this.#with.onSent(this.peer, body.length)
    for (let chunk = start; guest && chunk < start + count; chunk++) {
      this.#with.audience.sent(guest, chunk)
    }
    return true
  }

  /** A run that cannot be read whole: the refusal must name the chunk that is not here. */
  async #sendOneByOne(bundle: StoredBundle, job: ChunkJob, { start, count }: Run) {
    for (let chunk = start; chunk < start + count; chunk++) {
      if (!(await this.#sendRun(bundle, job, { start: chunk, count: 1 }))) return false
    }
    return true
  }

  #handle(ask: Ask): void {
    switch (ask.t) {
      case 'join':
        this.#join(ask)
        return
      case 'leave':
        this.#leave(ask.bundle)
        return
      case 'have':
        this.#has(ask)
        return
      case 'cancel':
        this.#cancel(ask.id)
        return
      case 'request':
        this.#request(ask)
        return
      case 'descriptor':
        this.#requestDescriptor(ask)
        return
    }
  }

  #join(ask: Ask & { t: 'join' }): void {
    const { bundle, ticket } = ask
    this.#pace.take(1, this.#with.clock.nowMs())
    const refusal = this.#desk.present(bundle, ticket)
    if (refusal) {
      this.#refuse(refusal, { bundle })
      return
    }
    const stored = this.#with.bundleOf(bundle)
    if (!stored && !this.#with.expects(bundle)) {
      this.#leave(bundle)
      this.#refuse('UNKNOWN_BUNDLE', { bundle })
      return
    }
    const guest = this.#guests.get(bundle) ?? this.#guest(bundle)
    this.#guests.set(bundle, guest)
    guest.join(ask)
    if (stored) guest.greet(stored)
    this.#with.onJoin(this.peer, bundle)
  }

  #guest(bundle: BundleId): Guest {
    const { clock, audience, linkRates, haveAllowance, haveDelayMs, peerHolds } = this.#with
    const { signal } = this.#ended
    const guest: Guest = new Guest(this.peer, bundle, {
      ...{ audience, linkRates },
      answer: (answer) => this.#answer(answer),
      teller: new HaveTeller({
        ...{ clock, allowance: haveAllowance },
        delayMs: () => haveDelayMs(guest.stored?.held.count ?? 0),
        wants: (chunk) => !peerHolds(this.peer, bundle, chunk),
        write: (runs) => this.#channel.write({ t: 'have', number: guest.number, runs }, { signal }),
        onFault: (error) => this.#end(error),
      }),
    })
    return guest
  }

  #has({ number, runs }: Ask & { t: 'have' }): void {
    for (const guest of this.#guests.values()) {
      if (guest.number === number) this.#gained(guest, runs)
    }
  }

  #gained(guest: Guest, runs: readonly number[]): void {
    this.#pace.take(haveCost, this.#with.clock.nowMs())
    guest.gained(runs)
  }

  #leave(bundle: BundleId): void {
    this.#guests.get(bundle)?.leave()
    this.#guests.delete(bundle)
    this.#desk.leave(bundle)
    this.#with.uploader.queue.cancel(this, { bundle })
  }

  #request(ask: Ask & { t: 'request' }): void {
    this.#acknowledged(ask)
    const guest = this.#guests.get(ask.bundle)
    if (guest && ask.runs) this.#gained(guest, ask.runs)
    const bundle = this.#admit(ask)
    if (!bundle) return
    for (let chunk = ask.first; chunk < ask.first + ask.count; chunk++) {
      if (chunk < bundle.layout.chunkCount && bundle.held.has(chunk)) continue
      this.#refuse('NOT_HELD', { ...ask, number: chunk })
      return
    }
    if (guest) this.#with.audience.requested(guest, { start: ask.first, count: ask.count })
    this.#with.uploader.queue.pushRun(this, ask)
    this.#with.uploader.pump()
  }

  /** Chunks have come: how long they took, without the time that the peer took to tell. */
  #acknowledged({ got, gotMs = 0 }: Ask & { t: 'request' }): void {
    const sentMs = got === undefined ? undefined : this.#unacknowledged.came(got)
    if (sentMs === undefined) return
    const delayMs = Math.max(0, this.#with.clock.nowMs() - gotMs - sentMs)
    this.#with.uploader.arrived(this, { sentMs, delayMs })
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

  /** The peer may ask another for what we will not send, as soon as it knows. */
  #cancel(id: number): void {
    const bundle = this.#with.uploader.queue.cancel(this, { id })
    if (bundle) this.#answer({ t: 'refused', bundle, code: 'CANCELLED', id })
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
    const { signal } = this.#ended
    this.#unread.expectRoom()
    this.#unread
      .send(() => this.#channel.write(answer, { signal }))
      .catch((error: Error) => this.#end(error))
  }

  #end(error: Error): void {
    if (this.#ended.signal.aborted) return
    this.#ended.abort(error)
    for (const guest of this.#guests.values()) guest.leave()
    this.#guests.clear()
    this.#with.uploader.remove(this)
    this.#channel.abort(error)
  }
}

function runOf({ number, count }: ChunkJob): Run {
  return { start: number, count }
}

function travelBytesOf({ layout }: StoredBundle, { start, count }: Run): number {
  let bytes = 0
  for (let chunk = start; chunk < start + count; chunk++) bytes += layout.locate(chunk).travelBytes
  return bytes
}

/** Runs that each go into one answer. */
function splitRun(bundle: StoredBundle, { start, count }: Run): Run[] {
  const runs: Run[] = []
  const end = start + count
  for (let first = start; first < end; ) {
    let last = first
    while (
      last + 1 < end &&
      travelBytesOf(bundle, { start: first, count: last + 2 - first }) <= chunksBodyBytesMax
    )
      last += 1
    runs.push({ start: first, count: last + 1 - first })
    first = last + 1
  }
  return runs
}
