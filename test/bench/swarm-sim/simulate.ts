/** One simulated run, from links and an image to figures. */
import { Events } from './events.ts'
import { boundS, type Points, pointsOf } from './figures.ts'
import { imageOf } from './image.ts'
import type { Rates } from './peer.ts'
import { createRandom } from './random.ts'
import { runStreet, type StreetInit } from './street.ts'
import { type Policy, policyDefault } from './world.ts'

export type SimulationInit = Readonly<{
  layers: readonly number[]
  seed: number
  tax: number
  policy?: Partial<Policy>
  /** All chunks are of this size, instead of by the size of their layer. */
  chunkBytes?: number
  /** Draws links with the randomness of this run. */
  street: (random: () => number) => StreetInit
}>

export type Simulated = Points &
  Readonly<{
    homes: number
    bytes: number
    boundS: number
    duplicateBytes: number
    simulatedS: number
    cpuS: number
    /** Of newcomers that are done: how long half of them took from joining to running. */
    newcomerMedianS: number
  }>

/** Runs one swarm. The same `seed` gives the same run. */
export function simulate(init: SimulationInit): Simulated {
  const cpu = process.cpuUsage()
  const random = createRandom(init.seed)
  const street = init.street(random)
  const layout = imageOf(init.layers, init.chunkBytes)
  const { chunkCount } = layout
  const chunkBytes = Float64Array.from(
    { length: chunkCount },
    (_, chunk) => layout.locate(chunk).travelBytes,
  )
  const policy = { ...policyDefault, ...init.policy }
  const events = new Events()
  const world = { events, layout, chunkBytes, random, policy, tax: init.tax }
  const result = runStreet(world, street)
  const used = process.cpuUsage(cpu)
  const bytes = init.layers.reduce((sum, size) => sum + size, 0)
  const waits = result.newcomers.map(({ runningS, joinedS }) => runningS - joinedS)
  return {
    ...pointsOf(result.homes),
    homes: street.homes.length,
    bytes,
    boundS: boundS(bytes, street.seeds, street.homes),
    duplicateBytes: result.duplicateBytes,
    simulatedS: result.simulatedS,
    cpuS: (used.user + used.system) / 1e6,
    newcomerMedianS: waits.sort((a, b) => a - b)[waits.length >> 1] ?? 0,
  }
}

/** Rates in Mbit/s, as providers sell them. */
export function ratesOf(uploadMbit: number, downloadMbit: number): Rates {
  const bytesPerS = 1_000_000 / 8
  return { uploadBytesPerS: uploadMbit * bytesPerS, downloadBytesPerS: downloadMbit * bytesPerS }
}
