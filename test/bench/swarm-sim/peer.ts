/**
 * One peer of the simulated swarm: the real picker, asker, credits, queue, slots, ranks and plan,
 * with the wire, the disk and the clock replaced by events. What it knows of others is what they
 * told it, a round trip and a batch of haves late.
 */
import { Bitfield, type Run } from '../../../protocol/bundle/index.ts'
import type { PeerId } from '../../../protocol/ids.ts'
import { ChunkAsker } from '../../../protocol/swarm/chunk-asker.ts'
import { haveMessageBytes, homeHaveDelayMs } from '../../../protocol/swarm/have-teller.ts'
import { haveBurstBytes, haveBytesPerS } from '../../../protocol/swarm/line.ts'
import { Picker } from '../../../protocol/swarm/picker.ts'
import {
  neighboursMaxFor,
  PeerMaps,
  type Reveal,
  SeedPlan,
  type SeedShare,
  UploadRank,
  UploadSlots,
} from '../../../protocol/swarm/schedule/index.ts'
import { Sender } from '../../../protocol/swarm/sender.ts'
import { SwarmStats } from '../../../protocol/swarm/stats.ts'
import { createTokenBucket, type TokenBucket } from '../../../protocol/swarm/token-bucket.ts'
import { type TurnRank, UploadQueue } from '../../../protocol/swarm/upload-queue.ts'
import { simulatedBundle } from './image.ts'
import { Downlink, Uplink } from './links.ts'
import { type World, wireTax } from './world.ts'

/** Payload bytes a second of a link. */
export type Rates = Readonly<{ uploadBytesPerS: number; downloadBytesPerS: number }>

const tickMs = 250
/** Peers that have all are told what others hold less often: only ranks need it. */
const slowHaveMs = 1_000

export type SimulatedPeerInit = Readonly<{
  name: string
  rates: Rates
  /** It holds the image, and is the so-manieth of so many. */
  seed?: SeedShare
  onChunk?: (chunk: number) => void
  onComplete?: () => void
}>

/** A home or a cache. */
export class SimulatedPeer {
  readonly name: string
  readonly rates: Rates
  readonly held: Bitfield
  readonly #world: World
  readonly #init: SimulatedPeerInit
  readonly #up: Uplink
  readonly #down: Downlink
  readonly #maps: PeerMaps
  readonly #rank: UploadRank
  readonly #turns: TurnRank<SimulatedPeer>
  readonly #queue: UploadQueue<SimulatedPeer>
  readonly #slots: UploadSlots<SimulatedPeer>
  readonly #picker: Picker | undefined
  readonly #asker: ChunkAsker | undefined
  readonly #plan: SeedPlan | undefined
  readonly #links = new Map<SimulatedPeer, Sender>()
  readonly #senders = new Map<string, Sender>()
  /** What telling of new chunks may cost. */
  readonly #allowance: TokenBucket
  /** Half of a round trip to the middle of the net. */
  readonly latencyMs: number
  #news: number[] = []
  #slowNews: number[] = []
  #telling = false
  #wakeAtMs = Number.POSITIVE_INFINITY
  #nextId = 1
  gone = false
  receivedBytes = 0
  duplicateBytes = 0

  constructor(world: World, init: SimulatedPeerInit) {
    const { layout, policy, random, chunkBytes } = world
    const { chunkCount } = layout
    this.#world = world
    this.#init = init
    this.name = init.name
    this.rates = init.rates
    this.latencyMs = 7.5 + 7.5 * random()
    this.#up = new Uplink(world.events, init.rates.uploadBytesPerS / world.tax)
    this.#down = new Downlink(world.events, init.rates.downloadBytesPerS / world.tax)
    this.held = new Bitfield(chunkCount)
    const bytesOf = (chunk: number): number => chunkBytes[chunk] ?? 0
    this.#maps = new PeerMaps({ chunkCount, bytesOf })
    // A cache with room for all sees the whole swarm; a home that has all the neighbours it may
    // have does not.
    const seenWholeMax = neighboursMaxFor(init.rates.uploadBytesPerS) - 4
    this.#rank = new UploadRank({ maps: this.#maps, seenWholeMax, favourites: policy.favourites })
    this.#turns = {
      turnOf: (peer, _, soonest) => this.#rank.turnOf(peer.name, world.events.nowMs, soonest),
      uploadBytesPerS: (peer) => this.#rank.uploadBytesPerS(peer.name),
      holdersOf: (_, chunk) => this.#rank.holdersOf(chunk),
    }
    const uploadBytesPerS = (): number => init.rates.uploadBytesPerS
    const lineBytesPerS = (): number => (init.rates.uploadBytesPerS * wireTax) / world.tax
    this.#queue = new UploadQueue(random)
    this.#slots = new UploadSlots({ slots: policy.slots, uploadBytesPerS: lineBytesPerS })
    if (init.seed) {
      for (let chunk = 0; chunk < chunkCount; chunk++) this.held.set(chunk)
      if (policy.superSeed) {
        this.#plan = new SeedPlan({ maps: this.#maps, share: init.seed, uploadBytesPerS })
      }
    } else {
      const { windowChunks } = policy
      const { held } = this
      this.#picker = new Picker({
        chunkCount,
        held,
        bytesOf,
        random,
        windowChunks,
        maps: this.#maps,
      })
      this.#asker = new ChunkAsker({
        ...{ bundle: simulatedBundle, layout, picker: this.#picker },
        senderOf: (peer) => this.#senders.get(peer),
        bucket: createTokenBucket(1),
        stats: new SwarmStats({ nowMs: () => 0, isCache: () => false }),
      })
    }
    this.#allowance = createTokenBucket(haveBurstBytes)
    this.#allowance.setRate(haveBytesPerS(init.rates.uploadBytesPerS), world.events.nowMs)
    world.events.after(tickMs * random(), () => this.#tick())
  }

  get complete(): boolean {
    return this.held.full
  }

  get linkCount(): number {
    return this.#links.size
  }

  get links(): Iterable<SimulatedPeer> {
    return this.#links.keys()
  }

  get uplinkBusyMs(): number {
    return this.#up.busyMs
  }

  hasLink(peer: SimulatedPeer): boolean {
    return this.#links.has(peer)
  }

  deliveredBy(peer: SimulatedPeer): number {
    return this.#links.get(peer)?.receivedBytes ?? 0
  }

  rttMs(peer: SimulatedPeer): number {
    return 2 * (this.latencyMs + peer.latencyMs)
  }

  /** Both join each other, and learn what the other has at that moment. */
  link(other: SimulatedPeer): void {
    this.#meet(other)
    other.#meet(this)
    for (const [one, two] of [[this, other] as const, [other, this] as const]) {
      one.#plan?.joined(two.name)
      one.#later(two, () => {
        two.#fillFrom(one)
        one.#show()
      })
    }
  }

  /** Ends a link; what was asked over it is free. */
  unlink(other: SimulatedPeer): void {
    for (const [one, two] of [[this, other] as const, [other, this] as const]) {
      const sender = one.#links.get(two)
      if (!sender) continue
      one.#links.delete(two)
      one.#senders.delete(two.name)
      sender.settleAll()
      if (one.#picker) one.#picker.removePeer(two.name)
      else one.#maps.remove(two.name)
      one.#plan?.left(two.name)
      one.#rank.forget(two.name)
      one.#queue.remove(two)
      one.#show()
    }
  }

  /** Is switched off. */
  leave(): void {
    this.gone = true
    for (const other of [...this.#links.keys()]) this.unlink(other)
  }

  #meet(other: SimulatedPeer): void {
    const { chunkCount } = this.#world.layout
    const shown = other.#plan ? new Bitfield(chunkCount) : other.held
    const { nowMs } = this.#world.events
    if (this.#picker) this.#picker.setPeer(other.name, shown, nowMs)
    // A seed has no use for what another seed shows, and would count it as spread.
    else if (!other.#init.seed) this.#maps.set(other.name, shown, nowMs)
    this.#maps.link(other.name, other.rates)
    const sender = new Sender(other.name as PeerId)
    sender.phase = 'joined'
    sender.link = other.rates
    sender.session = {
      request: (_: unknown, run: Run) => this.#ask(other, run),
      cancel: (id: number) => this.#later(other, () => other.#cancel(this, id)),
      letGo: (id: number) => this.#later(other, () => other.#cancel(this, id)),
    } as unknown as NonNullable<Sender['session']>
    this.#links.set(other, sender)
    this.#senders.set(other.name, sender)
  }

  // Asking.

  #ask(holder: SimulatedPeer, run: Run): number {
    const id = this.#nextId++
    this.#later(holder, () => holder.#requested(this, id, run))
    return id
  }

  #requested(by: SimulatedPeer, id: number, { start, count }: Run): void {
    if (!this.#links.has(by)) return
    this.#queue.pushRun(by, { bundle: simulatedBundle, id, first: start, count })
    for (let chunk = start; chunk < start + count; chunk++) this.#plan?.requested(by.name, chunk)
    this.#pump()
  }

  #cancel(by: SimulatedPeer, id: number): void {
    if (!this.#queue.cancel(by, { id })) return
    this.#later(by, () => {
      const sender = by.#links.get(this)
      if (sender) by.#asker?.free(sender, id, by.#world.events.nowMs)
      by.#fillFrom(this)
    })
  }

  #fillFrom(holder: SimulatedPeer): void {
    const sender = this.#links.get(holder)
    if (sender && this.#asker && !this.complete) this.#asker.fill(sender, this.#world.events.nowMs)
  }

  #fillAll(): void {
    if (this.complete || !this.#asker) return
    const { nowMs } = this.#world.events
    for (const sender of this.#links.values()) this.#asker.fill(sender, nowMs)
  }

  #arrived(from: SimulatedPeer, id: number, chunk: number, bytes: number): void {
    if (this.gone) return
    const { nowMs } = this.#world.events
    const sender = this.#links.get(from)
    const asked = sender?.asked.get(chunk)
    this.#asker?.settled(chunk)
    if (sender && asked?.id === id) {
      sender.settle(chunk)
      if (asked.first) sender.credit.answered(nowMs - asked.atMs)
    }
    sender?.worked(nowMs)
    sender?.credit.arrived(bytes, nowMs)
    if (this.held.has(chunk)) {
      this.duplicateBytes += bytes
      if (this.#asker) this.#asker.duplicateBytes += bytes
    } else this.#gain(chunk, bytes, sender)
    this.#fillFrom(from)
  }

  #gain(chunk: number, bytes: number, from: Sender | undefined): void {
    this.held.set(chunk)
    this.receivedBytes += bytes
    if (from) from.receivedBytes += bytes
    const asked = this.#picker?.gained(chunk)
    // It came after it had been taken over: what is left there is asked anew.
    const owner = asked === undefined ? undefined : this.#senders.get(asked)
    const request = owner?.asked.get(chunk)
    if (owner && request) this.#asker?.cancel(owner, request.id, this.#world.events.nowMs)
    this.#news.push(chunk)
    this.#slowNews.push(chunk)
    this.#tellSoon()
    this.#init.onChunk?.(chunk)
    if (this.complete) this.#init.onComplete?.()
  }

  // Telling.

  #tellSoon(): void {
    if (this.#telling) return
    this.#telling = true
    this.#world.events.after(homeHaveDelayMs(this.held.count), () => this.#tell())
  }

  #tell(): void {
    if (this.gone) return
    const { events } = this.#world
    const waitMs = this.#allowance.waitMs(haveMessageBytes, events.nowMs)
    if (waitMs > 0) {
      events.after(waitMs, () => this.#tell())
      return
    }
    this.#telling = false
    const news = this.#news.map(runOf)
    this.#news = []
    const bytes = haveMessageBytes * this.#links.size
    this.#allowance.take(bytes, events.nowMs)
    // One event for all who are told: the latency to each would be most of the events.
    events.after(this.latencyMs + 7.5, () => {
      for (const peer of this.#links.keys()) if (!peer.complete) peer.#heard(this, news)
    })
  }

  /** What complete peers, seeds above all, are told. */
  #tellSlowly(): void {
    const news = this.#slowNews.map(runOf)
    if (news.length === 0) return
    this.#slowNews = []
    for (const peer of this.#links.keys()) if (peer.complete) peer.#heard(this, news)
  }

  /** @param runs one list for all that are told */
  #heard(from: SimulatedPeer, runs: readonly Run[]): void {
    const { nowMs } = this.#world.events
    for (const run of runs) {
      if (this.#picker) this.#picker.peerGained(from.name, run, nowMs)
      else this.#maps.gained(from.name, run, nowMs)
    }
    this.#fillFrom(from)
  }

  // Serving.

  #pump(): void {
    const { events, chunkBytes } = this.#world
    for (;;) {
      const { nowMs } = events
      if (!this.#slots.free(nowMs)) {
        const waitMs = this.#slots.waitMs(nowMs)
        if (waitMs !== undefined) this.#wake(waitMs)
        return
      }
      const next = this.#queue.next((peer) => this.#slots.mayServe(peer), { rank: this.#turns })
      if (next?.job.kind !== 'chunk') return
      const { requester, job } = next
      const bytes = chunkBytes[job.number] ?? 0
      this.#queue.charge(requester, bytes)
      this.#plan?.sent(requester.name, job.number)
      const holders = this.#maps.holdersOf(job.number)
      const send = this.#slots.start(requester, bytes, nowMs, holders)
      const taken = (): void => {
        this.#slots.end(send)
        // As the room of a real holder does: it comes, or the link breaks.
        if (this.#links.has(requester))
          this.#maps.gained(requester.name, runOf(job.number), events.nowMs)
        if (!this.gone) this.#pump()
      }
      this.#up.send(bytes, () =>
        requester.#down.receive(bytes, taken, () =>
          this.#later(requester, () => requester.#arrived(this, job.id, job.number, bytes)),
        ),
      )
      this.#show()
    }
  }

  #wake(afterMs: number): void {
    const atMs = this.#world.events.nowMs + afterMs
    if (this.#wakeAtMs <= atMs) return
    this.#wakeAtMs = atMs
    this.#world.events.after(afterMs, () => {
      if (this.#wakeAtMs === atMs) this.#wakeAtMs = Number.POSITIVE_INFINITY
      if (!this.gone) this.#pump()
    })
  }

  /** A seed tells what its plan has for whom. */
  #show(): void {
    const reveals = this.#plan?.reveal(this.#world.events.nowMs) ?? []
    for (const reveal of reveals) this.#tellReveal(reveal)
  }

  #tellReveal({ peer, chunks }: Reveal): void {
    const { chunkCount } = this.#world.layout
    const other = [...this.#links.keys()].find(({ name }) => name === peer)
    if (!other) return
    const runs = chunks === 'all' ? [{ start: 0, count: chunkCount }] : chunks.map(runOf)
    this.#later(other, () => {
      if (!other.#links.has(this)) return
      for (const run of runs) {
        other.#picker?.peerGained(this.name, run, this.#world.events.nowMs)
      }
      other.#fillFrom(this)
    })
  }

  #tick(): void {
    if (this.gone) return
    const { events } = this.#world
    this.#fillAll()
    this.#show()
    this.#pump()
    if (
      Math.floor(events.nowMs / slowHaveMs) !== Math.floor((events.nowMs - tickMs) / slowHaveMs)
    ) {
      this.#tellSlowly()
    }
    events.after(tickMs, () => this.#tick())
  }

  /** A message to another peer, one way. */
  #later(to: SimulatedPeer, run: () => void): void {
    this.#world.events.after(this.latencyMs + to.latencyMs, run)
  }
}

function runOf(start: number): Run {
  return { start, count: 1 }
}
