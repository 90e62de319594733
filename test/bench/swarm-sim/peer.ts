/**
 * One peer of the simulated swarm: the real picker, asker, credits, queue, slots, ranks and plan,
 * with the wire, the disk and the clock replaced by events. What it knows of others is what they
 * told it, a round trip and a batch of haves late.
 */
import { Bitfield, type Run } from '../../../protocol/bundle/index.ts'
import type { PeerId } from '../../../protocol/ids.ts'
import { haveMessageBytes, homeHaveDelayMs } from '../../../protocol/swarm/have-teller.ts'
import { haveBurstBytes, haveBytesPerS } from '../../../protocol/swarm/line.ts'
import { PeerMaps, type SeedShare } from '../../../protocol/swarm/schedule/index.ts'
import { Sender } from '../../../protocol/swarm/sender.ts'
import { createTokenBucket, type TokenBucket } from '../../../protocol/swarm/token-bucket.ts'
import { Asking } from './asking.ts'
import { Downlink } from './links.ts'
import { Serving } from './serving.ts'
import type { World } from './world.ts'

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
  readonly down: Downlink
  /** A seed asks for nothing. */
  readonly asking: Asking | undefined
  readonly serving: Serving
  /** Half of a round trip to the middle of the net. */
  readonly latencyMs: number
  readonly #world: World
  readonly #init: SimulatedPeerInit
  readonly #maps: PeerMaps
  readonly #links = new Map<SimulatedPeer, Sender>()
  /** What telling of new chunks may cost. */
  readonly #allowance: TokenBucket
  #news: number[] = []
  #slowNews: number[] = []
  #telling = false
  #nextId = 1
  gone = false

  constructor(world: World, init: SimulatedPeerInit) {
    const { layout, random, chunkBytes, events } = world
    const { chunkCount } = layout
    this.#world = world
    this.#init = init
    this.name = init.name
    this.rates = init.rates
    this.latencyMs = 7.5 + 7.5 * random()
    this.down = new Downlink(events, init.rates.downloadBytesPerS / world.tax)
    this.held = new Bitfield(chunkCount)
    this.#maps = new PeerMaps({ chunkCount, bytesOf: (chunk) => chunkBytes[chunk] ?? 0 })
    if (init.seed) for (let chunk = 0; chunk < chunkCount; chunk++) this.held.set(chunk)
    const { held } = this
    this.asking = init.seed
      ? undefined
      : new Asking(world, { held, maps: this.#maps, onGain: (chunk) => this.#gained(chunk) })
    this.serving = new Serving(world, { peer: this, maps: this.#maps, seed: init.seed })
    this.#allowance = createTokenBucket(haveBurstBytes)
    this.#allowance.setRate(haveBytesPerS(init.rates.uploadBytesPerS), events.nowMs)
    events.after(tickMs * random(), () => this.#tick())
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
    return this.serving.uplinkBusyMs
  }

  get duplicateBytes(): number {
    return this.asking?.duplicateBytes ?? 0
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
      one.serving.joined(two)
      one.later(two, () => {
        two.asking?.fillFrom(one.name)
        one.serving.show()
      })
    }
  }

  /** Ends a link; what was asked over it is free. */
  unlink(other: SimulatedPeer): void {
    for (const [one, two] of [[this, other] as const, [other, this] as const]) {
      const sender = one.#links.get(two)
      if (!sender) continue
      one.#links.delete(two)
      sender.settleAll()
      if (one.asking) one.asking.part(two.name)
      else one.#maps.remove(two.name)
      one.serving.left(two)
    }
  }

  /** Is switched off. */
  leave(): void {
    this.gone = true
    for (const other of [...this.#links.keys()]) this.unlink(other)
  }

  arrived(from: SimulatedPeer, id: number, chunk: number, bytes: number): void {
    if (!this.gone) this.asking?.arrived(from.name, id, chunk, bytes)
  }

  /** A seed shows chunks. */
  shown(from: SimulatedPeer, runs: readonly Run[]): void {
    for (const run of runs) this.asking?.heard(from.name, run)
    this.asking?.fillFrom(from.name)
  }

  /** A message to another peer, one way. */
  later(to: SimulatedPeer, run: () => void): void {
    this.#world.events.after(this.latencyMs + to.latencyMs, run)
  }

  #meet(other: SimulatedPeer): void {
    const shown = other.serving.isRationed
      ? new Bitfield(this.#world.layout.chunkCount)
      : other.held
    const sender = this.#senderOf(other)
    if (this.asking) this.asking.meet(sender, shown)
    // A seed has no use for what another seed shows, and would count it as spread.
    else if (!other.#init.seed) this.#maps.set(other.name, shown, this.#world.events.nowMs)
    this.#maps.link(other.name, other.rates)
    this.#links.set(other, sender)
  }

  #senderOf(other: SimulatedPeer): Sender {
    const sender = new Sender(other.name as PeerId)
    const cancel = (id: number): void => this.later(other, () => other.serving.cancelled(this, id))
    const request = (_: unknown, run: Run): number => {
      const id = this.#nextId++
      this.later(other, () => other.serving.requested(this, id, run))
      return id
    }
    sender.phase = 'joined'
    sender.link = other.rates
    sender.session = { request, cancel, letGo: cancel } as unknown as NonNullable<Sender['session']>
    return sender
  }

  #gained(chunk: number): void {
    this.#news.push(chunk)
    this.#slowNews.push(chunk)
    this.#tellSoon()
    this.#init.onChunk?.(chunk)
    if (this.complete) this.#init.onComplete?.()
  }

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
    for (const run of runs) {
      if (this.asking) this.asking.heard(from.name, run)
      else this.#maps.gained(from.name, run, this.#world.events.nowMs)
    }
    this.asking?.fillFrom(from.name)
  }

  #tick(): void {
    if (this.gone) return
    const { events } = this.#world
    this.asking?.fillAll()
    this.serving.show()
    this.serving.pump()
    if (
      Math.floor(events.nowMs / slowHaveMs) !== Math.floor((events.nowMs - tickMs) / slowHaveMs)
    ) {
      this.#tellSlowly()
    }
    events.after(tickMs, () => this.#tick())
  }
}

function runOf(start: number): Run {
  return { start, count: 1 }
}
