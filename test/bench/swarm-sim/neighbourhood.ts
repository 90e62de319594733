/**
 * Who is linked to whom in a simulated street. An order names homes of the same round whether they
 * have begun or not, so neighbours are drawn among all of them: drawn among those only that came
 * before, the first homes would be a circle of their own, and chunks of the seed would take
 * seconds to leave it.
 */
import {
  type Candidate,
  chooseNeighbours,
  neighboursMaxFor,
} from '../../../protocol/swarm/schedule/index.ts'
import type { SimulatedPeer } from './peer.ts'
import type { World } from './world.ts'

/** Peers that a home has heard of when it draws: hints and exchange. */
const heardOfMax = 96
/** A home takes a few more neighbours than it looks for, or late ones would find none. */
const acceptedShare = 1.25

/** The links of one street. */
export class Neighbourhood {
  readonly #world: World
  readonly #seeds: readonly SimulatedPeer[]
  /** Homes that others may have heard of. */
  readonly #known = new Set<SimulatedPeer>()
  readonly #present = new Set<SimulatedPeer>()
  /** Neighbours that were drawn before both were there. */
  readonly #expected = new Map<SimulatedPeer, Set<SimulatedPeer>>()

  constructor(world: World, seeds: readonly SimulatedPeer[]) {
    this.#world = world
    this.#seeds = seeds
  }

  /** Others are told of a home that will come. */
  announce(home: SimulatedPeer): void {
    this.#known.add(home)
    this.#expected.set(home, new Set())
  }

  /** A home that was announced is there: links to seeds, to who drew it, and to whom it draws. */
  join(home: SimulatedPeer): void {
    this.#present.add(home)
    for (const seed of this.#seeds) {
      if (seed.linkCount < neighboursMaxFor(seed.rates.uploadBytesPerS)) home.link(seed)
    }
    for (const other of this.#expectedBy(home)) {
      if (!this.#present.has(other)) continue
      this.#expectedBy(home).delete(other)
      this.#expectedBy(other).delete(home)
      home.link(other)
    }
    this.#draw(home)
  }

  leave(home: SimulatedPeer): void {
    this.#known.delete(home)
    this.#present.delete(home)
    for (const other of this.#expectedBy(home)) this.#expectedBy(other).delete(home)
    this.#expected.delete(home)
    home.leave()
  }

  /** Draws anew, where not all are neighbours of all. */
  redraw(home: SimulatedPeer): void {
    if (this.#present.size + this.#seeds.length > this.#world.policy.degree) this.#draw(home)
  }

  #draw(home: SimulatedPeer): void {
    const { random, policy } = this.#world
    const heardOf = this.#heardOf(home)
    const candidates: Candidate[] = heardOf.map((other) => ({
      peer: other.name,
      joined: home.hasLink(other),
      rttMs: home.rttMs(other),
      deliveredBytes: home.deliveredBy(other),
    }))
    const taken = this.#seeds.filter((seed) => home.hasLink(seed)).length
    const max = Math.max(1, policy.degree - taken - this.#expectedBy(home).size)
    const chosen = new Set(chooseNeighbours({ known: candidates, random, max }))
    for (const other of heardOf) {
      const wanted = this.#linksOf(home) < policy.degree
      if (chosen.has(other.name)) {
        if (wanted && !home.hasLink(other)) this.#invite(home, other)
      } else if (!wanted && home.hasLink(other)) home.unlink(other)
    }
  }

  #invite(home: SimulatedPeer, other: SimulatedPeer): void {
    if (this.#linksOf(other) >= this.#world.policy.degree * acceptedShare) return
    if (this.#present.has(other)) {
      home.link(other)
      return
    }
    this.#expectedBy(home).add(other)
    this.#expectedBy(other).add(home)
  }

  /** Its neighbours among homes, and others by chance. */
  #heardOf(home: SimulatedPeer): SimulatedPeer[] {
    const expected = this.#expectedBy(home)
    const others = [...this.#known].filter((other) => other !== home && !expected.has(other))
    const linked = [...home.links].filter((other) => !this.#seeds.includes(other))
    return [...new Set([...linked, ...sample(others, heardOfMax, this.#world.random)])]
  }

  #linksOf(home: SimulatedPeer): number {
    return home.linkCount + this.#expectedBy(home).size
  }

  #expectedBy(home: SimulatedPeer): Set<SimulatedPeer> {
    return this.#expected.get(home) ?? new Set()
  }
}

function sample<T>(items: T[], count: number, random: () => number): T[] {
  for (let at = 0; at < Math.min(count, items.length); at++) {
    const from = at + Math.floor(random() * (items.length - at))
    const moved = items[at] as T
    items[at] = items[from] as T
    items[from] = moved
  }
  return items.slice(0, count)
}
