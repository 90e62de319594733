/**
 * The serving half of a simulated peer: the real queue, slots, ranks and plan in front of an uplink
 * that is events.
 */
import type { Run } from '../../../protocol/bundle/index.ts'
import {
  neighboursMaxFor,
  type PeerMaps,
  type Reveal,
  SeedPlan,
  type SeedShare,
  UploadRank,
  UploadSlots,
} from '../../../protocol/swarm/schedule/index.ts'
import { type TurnRank, UploadQueue } from '../../../protocol/swarm/upload-queue.ts'
import { simulatedBundle } from './image.ts'
import { Uplink } from './links.ts'
import type { SimulatedPeer } from './peer.ts'
import { type World, wireTax } from './world.ts'

export type ServingInit = Readonly<{
  peer: SimulatedPeer
  maps: PeerMaps
  /** It shows chunks by plan, as the so-manieth seed of so many. */
  seed?: SeedShare | undefined
}>

/** What one peer sends to whom. */
export class Serving {
  readonly #world: World
  readonly #peer: SimulatedPeer
  readonly #maps: PeerMaps
  readonly #up: Uplink
  readonly #rank: UploadRank
  readonly #turns: TurnRank<SimulatedPeer>
  readonly #queue: UploadQueue<SimulatedPeer>
  readonly #slots: UploadSlots<SimulatedPeer>
  readonly #plan: SeedPlan | undefined
  #wakeAtMs = Number.POSITIVE_INFINITY

  constructor(world: World, { peer, maps, seed }: ServingInit) {
    const { policy, events, random } = world
    const { rates } = peer
    this.#world = world
    this.#peer = peer
    this.#maps = maps
    this.#up = new Uplink(events, rates.uploadBytesPerS / world.tax)
    // A cache with room for all sees the whole swarm; a home that has all the neighbours it may
    // have does not.
    const seenWholeMax = neighboursMaxFor(rates.uploadBytesPerS) - 4
    this.#rank = new UploadRank({ maps, seenWholeMax, favourites: policy.favourites })
    this.#turns = {
      turnOf: ({ name }, _, soonest) => this.#rank.turnOf(name, events.nowMs, soonest),
      uploadBytesPerS: ({ name }) => this.#rank.uploadBytesPerS(name),
      holdersOf: (_, chunk) => this.#rank.holdersOf(chunk),
    }
    this.#queue = new UploadQueue(random)
    const lineBytesPerS = (): number => (rates.uploadBytesPerS * wireTax) / world.tax
    this.#slots = new UploadSlots({ slots: policy.slots, uploadBytesPerS: lineBytesPerS })
    if (seed && policy.superSeed) {
      const uploadBytesPerS = (): number => rates.uploadBytesPerS
      this.#plan = new SeedPlan({ maps, share: seed, uploadBytesPerS })
    }
  }

  /** It shows its chunks by plan: who joins is told of none. */
  get isRationed(): boolean {
    return this.#plan !== undefined
  }

  get uplinkBusyMs(): number {
    return this.#up.busyMs
  }

  joined({ name }: SimulatedPeer): void {
    this.#plan?.joined(name)
  }

  /** The link is gone, and the maps know. */
  left(other: SimulatedPeer): void {
    this.#plan?.left(other.name)
    this.#rank.forget(other.name)
    this.#queue.remove(other)
    this.show()
  }

  requested(by: SimulatedPeer, id: number, { start, count }: Run): void {
    if (!this.#peer.hasLink(by)) return
    this.#queue.pushRun(by, { bundle: simulatedBundle, id, first: start, count })
    for (let chunk = start; chunk < start + count; chunk++) this.#plan?.requested(by.name, chunk)
    this.pump()
  }

  cancelled(by: SimulatedPeer, id: number): void {
    if (!this.#queue.cancel(by, { id })) return
    this.#peer.later(by, () => by.asking?.letGo(this.#peer.name, id))
  }

  /** Starts as many sends as slots allow. */
  pump(): void {
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
        if (this.#peer.hasLink(requester))
          this.#maps.gained(requester.name, { start: job.number, count: 1 }, events.nowMs)
        if (!this.#peer.gone) this.pump()
      }
      this.#up.send(bytes, () =>
        requester.down.receive(bytes, taken, () =>
          this.#peer.later(requester, () =>
            requester.arrived(this.#peer, job.id, job.number, bytes),
          ),
        ),
      )
      this.show()
    }
  }

  /** A seed tells what its plan has for whom. */
  show(): void {
    const reveals = this.#plan?.reveal(this.#world.events.nowMs) ?? []
    for (const reveal of reveals) this.#tellReveal(reveal)
  }

  #tellReveal({ peer, chunks }: Reveal): void {
    const { chunkCount } = this.#world.layout
    const other = [...this.#peer.links].find(({ name }) => name === peer)
    if (!other) return
    const runs =
      chunks === 'all'
        ? [{ start: 0, count: chunkCount }]
        : chunks.map((start) => ({ start, count: 1 }))
    this.#peer.later(other, () => {
      if (other.hasLink(this.#peer)) other.shown(this.#peer, runs)
    })
  }

  #wake(afterMs: number): void {
    const atMs = this.#world.events.nowMs + afterMs
    if (this.#wakeAtMs <= atMs) return
    this.#wakeAtMs = atMs
    this.#world.events.after(afterMs, () => {
      if (this.#wakeAtMs === atMs) this.#wakeAtMs = Number.POSITIVE_INFINITY
      if (!this.#peer.gone) this.pump()
    })
  }
}
