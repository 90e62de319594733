/** The streets that are simulated: the plain one of options, and the one that SaladCloud published. */
import type { Rates } from './peer.ts'
import { ratesOf, type SimulationInit } from './simulate.ts'
import type { StreetInit } from './street.ts'

export type PlainStreet = Readonly<{
  homes: number
  mb: number
  seedUp: number
  /** In turns over the homes. */
  up: readonly number[]
  down: number
}>

/** One seed and homes of a few kinds; rates in Mbit/s, 10^6 bytes a MB. */
export function plainStreet(
  plain: PlainStreet,
): Pick<SimulationInit, 'layers'> & { street: () => StreetInit } {
  const { homes, mb, seedUp, up, down } = plain
  return {
    layers: [mb * 1e6],
    street: () => ({
      seeds: [ratesOf(seedUp, seedUp)],
      homes: Array.from({ length: homes }, (_, at) => ratesOf(up[at % up.length] ?? 0, down)),
    }),
  }
}

const saladHomes = 100
const saladBytes = 5.53e9
const saladLayers = 8
/** The biggest layer has half; where it lies is not told: after the middle, as weights often do. */
const biggestLayer = 4
const saladCacheMbit = 1000
const unpackBytesPerS = 100e6

/**
 * 100 instances of an image of 5.53 GB, homes of mixed links, two caches that hold it at t = 0.
 * @param churn one home in a hundred leaves and a new one joins, each minute
 * @param share of the image's size, for a quick look
 */
export function saladStreet({
  churn,
  share = 1,
}: {
  churn: boolean
  share?: number
}): Pick<SimulationInit, 'layers' | 'street'> {
  const small = Math.round((saladBytes * share) / 2 / (saladLayers - 1))
  const layers = Array.from({ length: saladLayers }, (_, at) =>
    at === biggestLayer ? Math.round((saladBytes * share) / 2) : small,
  )
  return {
    layers,
    street: (random) => {
      const home = (): Rates => ratesOf(5 + 45 * random(), 50 + 450 * random())
      const cache = ratesOf(saladCacheMbit, saladCacheMbit)
      return {
        seeds: [cache, cache],
        homes: Array.from({ length: saladHomes }, home),
        unpackBytesPerS,
        ...(churn ? { churn: { perMinute: saladHomes / 100, newcomer: home } } : {}),
      }
    },
  }
}
