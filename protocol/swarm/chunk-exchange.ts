/**
 * The chunks of one bundle once its descriptor is here: which are wanted, of whom they are asked,
 * what happens when they come. It keeps picker, asker and keeper in step; each alone would act on
 * a state that another has left.
 */
import type { Uint8ArrayList } from 'uint8arraylist'
import { Bitfield, type Run } from '../bundle/index.ts'
import type { StoredBundle } from '../chunk-store/index.ts'
import type { Clock } from '../clock.ts'
import { describeError } from '../errors.ts'
import type { PeerId } from '../ids.ts'
import { ChunkAsker } from './chunk-asker.ts'
import { ChunkKeeper } from './chunk-keeper.ts'
import { HaveTeller, seedHaveDelayMs } from './have-teller.ts'
import { chunksCame } from './heap-room.ts'
import type { Misbehaviour, MisbehaviourKind } from './peer-book.ts'
import { Picker } from './picker.ts'
import type { Room } from './room.ts'
import type { Sender } from './sender.ts'
import type { Senders } from './senders.ts'
import type { SwarmStats } from './stats.ts'
import type { TokenBucket } from './token-bucket.ts'
import { decodeRuns } from './wire.ts'

/** Chunks that a peer may refuse after it said that it holds them; beyond, a share of what it sent. */
const falseHavesFree = 4
const falseHaveShareMax = 0.05

export type ChunkExchangeComponents = Readonly<{
  stored: StoredBundle
  /** Closed by whoever opened it. */
  room: Room
  senders: Senders
  bucket: TokenBucket
  /** What telling of new chunks may cost, over all downloads. */
  haveAllowance: TokenBucket
  stats: SwarmStats
  clock: Clock
  /** Uniform in [0, 1). */
  random: () => number
  blame: (peer: PeerId, kind: MisbehaviourKind, facts: Partial<Misbehaviour>) => void
  /** Something changed: more may be asked, or all is here. */
  onChange: () => void
  /** The store cannot keep what comes. */
  onFault: (error: unknown) => void
}>

/** Asks for and takes the chunks of one bundle. */
export class ChunkExchange {
  readonly stored: StoredBundle
  readonly #with: ChunkExchangeComponents
  readonly #picker: Picker
  readonly #asker: ChunkAsker
  readonly #keeper: ChunkKeeper
  readonly #unsubscribe: () => void

  constructor(components: ChunkExchangeComponents) {
    const { stored, senders, bucket, stats, random, onChange } = components
    const { layout, held } = stored
    this.stored = stored
    this.#with = components
    components.room.asks = (peer) => senders.get(peer)?.phase === 'joined'
    components.room.onGained = (peer, run) => {
      this.#picker.peerGained(peer, run, components.clock.nowMs())
      onChange()
    }
    this.#picker = new Picker({
      chunkCount: layout.chunkCount,
      maps: components.room.maps,
      held,
      bytesOf: (chunk) => layout.locate(chunk).travelBytes,
      random,
    })
    this.#asker = new ChunkAsker({
      ...{ bundle: stored.id, layout, picker: this.#picker, bucket, stats },
      senderOf: (peer) => senders.get(peer as PeerId),
      newsFor: ({ peer, teller }) =>
        components.room.includes(peer) ? components.room.takeNewsFor(peer) : teller?.take(),
    })
    this.#keeper = new ChunkKeeper({
      ...{ stored, stats },
      onDuplicate: (bytes) => this.#duplicate(bytes),
      onWrong: ({ peer }, facts) => components.blame(peer, 'wrong-chunk', facts),
      onFault: components.onFault,
      onSettled: ({ peer }, chunk) => {
        this.#picker.release(chunk, peer)
        onChange()
      },
    })
    const offHeld = stored.onHeld((chunk) => this.#gained(chunk))
    const offLost = stored.onLost((chunk) => this.#lost(chunk))
    this.#unsubscribe = () => {
      offHeld()
      offLost()
    }
  }

  /** Bytes held, as they travel. */
  get heldBytes(): number {
    return this.#keeper.heldBytes
  }

  /** Asks for `chunk` before others: somebody waits to read it. */
  prefer(chunk: number): void {
    this.#picker.prefer(chunk)
  }

  /** Takes what a sender said it has, now that the numbers mean something. */
  learn(sender: Sender): void {
    const { held } = sender
    if (!held) return
    try {
      const map = Bitfield.fromBytes(this.stored.layout.chunkCount, held)
      this.#addNewer(sender.peer, map)
      this.#picker.setPeer(sender.peer, map, this.#with.clock.nowMs())
      this.#with.room.maps.link(sender.peer, sender.link)
    } catch (error) {
      this.#with.blame(sender.peer, 'malformed', { detail: describeError(error) })
      return
    }
    sender.held = undefined
    this.#tellFrom(sender)
    for (const runs of sender.earlyHaves.splice(0)) this.onHave(sender, runs)
  }

  /** What it told us as a guest may be newer than the map that it sent on another stream. */
  #addNewer(peer: PeerId, map: Bitfield): void {
    const { room } = this.#with
    if (!room.includes(peer)) return
    for (let chunk = 0; chunk < map.size; chunk++) if (room.maps.holds(peer, chunk)) map.set(chunk)
  }

  /** A sender has more. */
  onHave({ peer }: Sender, runs: readonly number[]): void {
    const decoded = decodeRuns(runs, this.stored.layout.chunkCount)
    if (!decoded) {
      this.#with.blame(peer, 'malformed', { detail: 'runs of a have' })
      return
    }
    const nowMs = this.#with.clock.nowMs()
    for (const run of decoded) this.#picker.peerGained(peer, run, nowMs)
  }

  /** Adjacent chunks came, one behind the other. @param live their request was not cancelled */
  onChunks(sender: Sender, id: number, run: Run, body: Uint8ArrayList, live: boolean): void {
    const { bucket, clock, stats, blame } = this.#with
    const nowMs = clock.nowMs()
    sender.worked(nowMs)
    sender.chunksCame += run.count
    sender.credit.arrived(body.length, nowMs)
    stats.received(sender.peer, body.length)
    chunksCame(body.length)
    const parts = this.#split(run, body)
    if (!parts) {
      blame(sender.peer, 'malformed', { detail: `${body.length} bytes for ${run.count} chunks` })
      return
    }
    for (const [at, part] of parts.entries()) {
      const chunk = run.start + at
      const asked = sender.asked.get(chunk)
      this.#asker.settled(chunk)
      if (live && asked?.id === id) {
        sender.settle(chunk)
        if (asked.first) sender.credit.answered(nowMs - asked.atMs)
      } else {
        // It was given back when it was cancelled, and came all the same.
        bucket.take(part.length, nowMs)
      }
      void this.#keeper.keep(sender, chunk, part)
    }
  }

  /** One alone may have any length: it is the store that tells a wrong chunk. */
  #split({ start, count }: Run, body: Uint8ArrayList): Uint8ArrayList[] | undefined {
    if (count === 1) return [body]
    const parts: Uint8ArrayList[] = []
    let at = 0
    for (let chunk = start; chunk < start + count; chunk++) {
      const end = at + this.#keeper.bytesOf(chunk)
      if (end > body.byteLength) return undefined
      parts.push(body.sublist(at, end))
      at = end
    }
    return at === body.byteLength ? parts : undefined
  }

  /** A request ended unanswered. Returns the chunks that are free again. */
  free(sender: Sender, id: number): number[] {
    return this.#asker.free(sender, id, this.#with.clock.nowMs())
  }

  /** A sender turned out not to have these, whatever it said. */
  lacks(sender: Sender, chunks: readonly number[]): void {
    const { peer } = sender
    for (const chunk of chunks) {
      if (chunk >= this.stored.layout.chunkCount || !this.#picker.peerHolds(peer, chunk)) continue
      this.#picker.peerLost(peer, chunk)
      sender.falseHaves += 1
      // A chunk or two may rot on an honest disk.
      if (sender.falseHaves <= falseHavesFree) continue
      if (sender.falseHaves <= sender.chunksCame * falseHaveShareMax) continue
      const detail = `${sender.falseHaves} chunks refused that it had said to hold, ${sender.chunksCame} sent`
      sender.falseHaves = 0
      this.#with.blame(peer, 'false-have', { chunk, detail })
      return
    }
  }

  /** News that rode on requests to a peer may not have come there. */
  retell(peer: PeerId): void {
    this.#with.room.retell(peer)
  }

  /** Forgets a sender; what was asked of it is free. */
  remove({ peer, outstandingBytes }: Sender): void {
    this.#with.bucket.giveBack(outstandingBytes, this.#with.clock.nowMs())
    this.#picker.removePeer(peer, this.#with.room.includes(peer))
  }

  /** Takes back what would come for longer than a second under a lowered limit. */
  slowDown(bytesPerS: number | undefined): void {
    let outstandingBytes = 0
    for (const sender of this.#with.senders.joined()) outstandingBytes += sender.outstandingBytes
    if (bytesPerS === undefined || outstandingBytes <= bytesPerS) return
    const nowMs = this.#with.clock.nowMs()
    for (const sender of this.#with.senders.joined()) {
      const requests = new Set([...sender.asked.values()].map(({ id }) => id))
      for (const id of requests) this.#asker.cancel(sender, id, nowMs)
    }
  }

  /** Asks as much of each as its credit allows. Returns for how long the limit says to wait. */
  fill(nowMs: number): number {
    let longestMs = 0
    for (const sender of this.#with.senders.joined()) {
      if (!sender.session) continue
      longestMs = Math.max(longestMs, this.#asker.fill(sender, nowMs))
    }
    return longestMs
  }

  /** Every chunk that is missing was asked for. */
  get isEndgame(): boolean {
    return this.#picker.unreserved === 0
  }

  /** Hears no more of the store. */
  close(): void {
    this.#with.room.onGained = undefined
    this.#unsubscribe()
  }

  #gained(chunk: number): void {
    const asked = this.#picker.gained(chunk)
    const from = this.#keeper.gained(chunk)
    // Who sent it knows.
    for (const sender of this.#with.senders.joined()) if (sender !== from) sender.teller?.add(chunk)
    const owner = asked === undefined ? undefined : this.#with.senders.get(asked as PeerId)
    const request = owner?.asked.get(chunk)
    // It came from elsewhere (another bundle, a late sender): what is left is asked anew.
    if (owner && request) this.#asker.cancel(owner, request.id, this.#with.clock.nowMs())
    this.#with.onChange()
  }

  /** Tells a sender what we have, and will have: whom it serves first depends on it. */
  #tellFrom(sender: Sender): void {
    if (sender.teller) return
    const { clock, haveAllowance, room, senders } = this.#with
    const { id, held } = this.stored
    const teller = new HaveTeller({
      ...{ clock, delayMs: () => seedHaveDelayMs, allowance: haveAllowance },
      // Those that ask us hear it in any case.
      wants: () => !room.includes(sender.peer),
      write: async (runs) => await sender.session?.have(id, runs),
      onFault: () => senders.rest(sender),
    })
    sender.teller = teller
    if (sender.introduced) return
    for (const { start, count } of held.runs()) {
      for (let chunk = start; chunk < start + count; chunk++) teller.add(chunk)
    }
  }

  #lost(chunk: number): void {
    this.#keeper.lost(chunk)
    this.#picker.lost(chunk)
    this.#with.onChange()
  }

  #duplicate(bytes: number): void {
    this.#asker.duplicateBytes += bytes
    this.#with.stats.duplicateBytes += bytes
  }
}
