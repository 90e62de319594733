/**
 * The links of a street and what they allow at best: with it a measured time says how much was lost
 * to scheduling, and not how fast the links were.
 */

export type StreetLinks = Readonly<{
  seedUpBitsPerS: number
  homes: readonly Readonly<{ upBitsPerS: number; downBitsPerS: number }>[]
}>

const bitsPerMegabit = 1_000_000

/** @param upMbits cycles over the homes; rates in Mbit/s. */
export function streetLinks(init: {
  readonly homes: number
  readonly seedUpMbits: number
  readonly upMbits: readonly number[]
  readonly downMbits: number
}): StreetLinks {
  const { homes, seedUpMbits, upMbits, downMbits } = init
  return {
    seedUpBitsPerS: seedUpMbits * bitsPerMegabit,
    homes: Array.from({ length: homes }, (_, at) => ({
      upBitsPerS: (upMbits[at % upMbits.length] ?? 0) * bitsPerMegabit,
      downBitsPerS: downMbits * bitsPerMegabit,
    })),
  }
}

/**
 * No way of sharing gets `bytes` to every home in less: the seed has to send each byte once, each
 * home to receive each, and all uplinks together to send N copies. Source: Kumar and Ross, "Peer-
 * Assisted File Distribution: The Minimum Distribution Time", HotWeb 2006.
 */
export function lowerBoundS(bytes: number, { seedUpBitsPerS, homes }: StreetLinks): number {
  const bits = 8 * bytes
  const slowestDown = Math.min(...homes.map(({ downBitsPerS }) => downBitsPerS))
  const allUp = homes.reduce((sum, { upBitsPerS }) => sum + upBitsPerS, seedUpBitsPerS)
  return Math.max(bits / seedUpBitsPerS, bits / slowestDown, (homes.length * bits) / allUp)
}
