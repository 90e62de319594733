/** A simulated street: who comes and goes, and when each home was done. */
import { redrawMs } from '../../../protocol/swarm/schedule/index.ts'
import { Neighbourhood } from './neighbourhood.ts'
import { type Rates, SimulatedPeer } from './peer.ts'
import { Unpacking } from './unpacking.ts'
import type { World } from './world.ts'

/** Dials, and the descriptor: between these. */
const joinFirstMs = 100
const joinLastMs = 400

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
  const { events, random } = world
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
  const neighbourhood = new Neighbourhood(world, seeds)
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
    neighbourhood.announce(home.peer)
    return home
  }
  const join = ({ peer }: Home): void => {
    neighbourhood.join(peer)
    const redraw = (): void => {
      if (peer.gone) return
      neighbourhood.redraw(peer)
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
      neighbourhood.leave(leaving.peer)
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
