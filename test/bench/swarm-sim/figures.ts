/** What is printed of a simulated street, and the bound that it is held against. */
import type { Rates } from './peer.ts'
import type { HomeTimes } from './street.ts'

/** Kumar and Ross, HotWeb 2006: no schedule is faster. In s, by the links' own rates. */
export function boundS(bytes: number, seeds: readonly Rates[], homes: readonly Rates[]): number {
  const seedUp = seeds.reduce((sum, { uploadBytesPerS }) => sum + uploadBytesPerS, 0)
  const homesUp = homes.reduce((sum, { uploadBytesPerS }) => sum + uploadBytesPerS, 0)
  const slowest = Math.min(...homes.map(({ downloadBytesPerS }) => downloadBytesPerS))
  return Math.max(bytes / seedUp, bytes / slowest, (homes.length * bytes) / (seedUp + homesUp))
}

export type Points = Readonly<{
  firstS: number
  medianS: number
  p80S: number
  p90S: number
  lastS: number
}>

/** The k-th of n homes to run, by the nearest rank; the last to hold all. */
export function pointsOf(homes: readonly HomeTimes[]): Points {
  const running = homes.map(({ runningS }) => runningS).sort((a, b) => a - b)
  const at = (share: number): number =>
    running[Math.max(0, Math.ceil(share * running.length) - 1)] ?? 0
  const lastS = Math.max(...homes.map(({ verifiedS }) => verifiedS))
  return { firstS: at(0), medianS: at(0.5), p80S: at(0.8), p90S: at(0.9), lastS }
}
