/** A simulated street: who is linked to whom, who comes and goes, and when each home was done. */
import {
  type Candidate,
  chooseNeighbours,
  neighboursMaxFor,
  redrawMs,
} from '../../../protocol/swarm/schedule/index.ts'
import { type Rates, SimulatedPeer } from './peer.ts'
import { Unpacking } from './unpacking.ts'
import type { World } from './world.ts'

/** Dials, and the descriptor: between these. */
const joinFirstMs = 100
const joinLastMs = 400
/** Peers that a home has heard of when it draws: hints and exchange. */
const knownMax = 96
/** A home takes a few more neighbours than it looks for, or late ones would find none. */
const acceptedShare = 1.25

export type StreetInit = Readonly<{
  seeds: readonly Rates[]
  homes: readonly Rates[]
  /** Bytes a second; absent: done when the last byte is here. */
  unpackBytesPerS?: number
  /** Homes that leave, and new ones that join, each minute; both of these links' kind. */
  churn?: Readonly<{ perMinute: number; newcomer: () => Rates }>
}>

/** One home's times, in s from t = 0. */
export type HomeTimes = Readonly<{ joinedS: number; verifiedS: number; runningS: number }>

export type StreetResult = Readonly<{
  homes: readonly HomeTimes[]
  newcomers: readonly HomeTimes[]
  duplicateBytes: number
  simulatedS: number
  /** How much of the time until the last home was done the uplinks were busy. */
  uplinkShare: number
}>

type Home = { peer: SimulatedPeer; joinedMs: number; verifiedMs?: number; runningMs?: number }

/** Runs until every home that stays is done. */
export function runStreet(world: World, init: StreetInit): StreetResult {
  const { events, random, policy } = world
  const seeds: SimulatedPeer[] = init.seeds.map(
    (rates, index) =>
      new SimulatedPeer(world, {
        name: `seed-${index}`,
        rates,
        seed: { index, of: init.seeds.length },
      }),
  )
  const homes: Home[] = []
  const newcomers: Home[] = []
  const present = new Set<SimulatedPeer>()
  let waiting = 0

  const build = (name: string, rates: Rates): Home => {
    const unpacking = init.unpackBytesPerS
      ? new Unpacking(world.layout, init.unpackBytesPerS)
      : undefined
    const home: Home = {
      joinedMs: events.nowMs,
      peer: new SimulatedPeer(world, {
        name,
        rates,
        onChunk: (chunk) => unpacking?.arrived(chunk, events.nowMs),
        onComplete: () => {
          home.verifiedMs = events.nowMs
          home.runningMs = unpacking?.doneMs ?? events.nowMs
          waiting -= 1
        },
      }),
    }
    waiting += 1
    return home
  }
  const full = (peer: SimulatedPeer): boolean =>
    peer.linkCount >=
    (seeds.includes(peer)
      ? neighboursMaxFor(peer.rates.uploadBytesPerS)
      : policy.degree * acceptedShare)
  const draw = (peer: SimulatedPeer): void => {
    const others = sample(
      [...present].filter((other) => other !== peer),
      knownMax,
      random,
    )
    const known = [
      ...new Set([...[...peer.links].filter((other) => !seeds.includes(other)), ...others]),
    ]
    const seedLinks = seeds.filter((seed) => peer.hasLink(seed)).length
    const candidates: Candidate[] = known.map((other) => ({
      peer: other.name,
      joined: peer.hasLink(other),
      rttMs: peer.rttMs(other),
      deliveredBytes: peer.deliveredBy(other),
    }))
    const chosen = new Set(
      chooseNeighbours({ known: candidates, random, max: Math.max(1, policy.degree - seedLinks) }),
    )
    for (const other of known) {
      if (chosen.has(other.name)) {
        if (!peer.hasLink(other) && !full(other) && peer.linkCount < policy.degree) peer.link(other)
      } else if (peer.hasLink(other) && peer.linkCount >= policy.degree) peer.unlink(other)
    }
  }
  const join = (home: Home): void => {
    const { peer } = home
    for (const seed of seeds) if (!full(seed)) peer.link(seed)
    draw(peer)
    present.add(peer)
    const redraw = (): void => {
      if (peer.gone) return
      if (present.size + seeds.length > policy.degree) draw(peer)
      events.after(redrawMs, redraw)
    }
    events.after(redrawMs * (0.5 + random()), redraw)
  }

  for (const [index, rates] of init.homes.entries()) {
    const home = build(`home-${index}`, rates)
    homes.push(home)
    events.after(joinFirstMs + (joinLastMs - joinFirstMs) * random(), () => join(home))
  }
  const { churn } = init
  const change = (): void => {
    if (!churn) return
    const leaving = homes[Math.floor(random() * homes.length)]
    if (leaving && !leaving.peer.gone) {
      leaving.peer.leave()
      present.delete(leaving.peer)
      if (leaving.verifiedMs === undefined) waiting -= 1
    }
    const home = build(`new-${newcomers.length}`, churn.newcomer())
    // Those who come late are not waited for.
    waiting -= 1
    newcomers.push(home)
    join(home)
    events.after(60_000 / churn.perMinute, change)
  }
  if (churn) events.after(60_000 / churn.perMinute, change)

  while (waiting > 0 && events.step()) {
    // Each event plans the next.
  }
  if (waiting > 0) throw new Error('the simulated swarm came to a halt')
  const all = [...homes, ...newcomers].map(({ peer }) => peer)
  const rates = [...seeds, ...all].reduce((sum, { rates }) => sum + rates.uploadBytesPerS, 0)
  const busy = [...seeds, ...all].reduce(
    (sum, { rates, uplinkBusyMs }) => sum + rates.uploadBytesPerS * uplinkBusyMs,
    0,
  )
  return {
    homes: homes.flatMap(timesOf),
    newcomers: newcomers.flatMap(timesOf),
    duplicateBytes: all.reduce((sum, { duplicateBytes }) => sum + duplicateBytes, 0),
    simulatedS: events.nowMs / 1000,
    uplinkShare: busy / (rates * events.nowMs),
  }
}

/** Of homes that stayed and are done. */
function timesOf({ peer, joinedMs, verifiedMs, runningMs }: Home): HomeTimes[] {
  if (peer.gone || verifiedMs === undefined || runningMs === undefined) return []
  return [{ joinedS: joinedMs / 1000, verifiedS: verifiedMs / 1000, runningS: runningMs / 1000 }]
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
