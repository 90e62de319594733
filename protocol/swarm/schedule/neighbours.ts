/**
 * With whom a home exchanges chunks when the swarm is too big for all. Most are drawn: what makes
 * a random graph spread a chunk in log N hops is that its edges are random; only near or only fast
 * ones would cut the swarm into circles (swarm.md 2.3 and 2.4). Pure: randomness is passed in.
 */

/** All, up to so many; beyond, that many in all. */
export const neighboursMax = 32
const nearest = 4
const best = 4
/** Redrawn so often; of the drawn ones a quarter goes, so that most exchanges are not cut off. */
export const redrawMs = 30_000
const redrawnShare = 0.25

export type Candidate = Readonly<{
  peer: string
  /** It is a neighbour now. */
  joined: boolean
  rttMs?: number
  /** What it delivered since the last draw. */
  deliveredBytes: number
}>

export type NeighbourDraw = Readonly<{
  known: readonly Candidate[]
  /** Uniform in [0, 1). */
  random: () => number
  max?: number
}>

/** Chooses neighbours among the known: 24 drawn, the 4 nearest, the 4 best deliverers. */
export function chooseNeighbours({ known, random, max = neighboursMax }: NeighbourDraw): string[] {
  if (known.length <= max) return known.map(({ peer }) => peer)
  const chosen = new Set<string>()
  const take = (from: readonly Candidate[], count: number): void => {
    for (const { peer } of from.slice(0, count)) chosen.add(peer)
  }
  const near = known.filter(({ rttMs }) => rttMs !== undefined)
  take(
    near.sort((a, b) => (a.rttMs ?? 0) - (b.rttMs ?? 0)),
    Math.min(nearest, max >> 3),
  )
  const giving = known.filter(({ deliveredBytes }) => deliveredBytes > 0)
  take(
    giving.sort((a, b) => b.deliveredBytes - a.deliveredBytes),
    Math.min(best, max >> 3),
  )
  const rest = known.filter(({ peer }) => !chosen.has(peer))
  const stay = shuffled(
    rest.filter(({ joined }) => joined),
    random,
  )
  const kept = Math.ceil((max - chosen.size) * (1 - redrawnShare))
  take(stay, Math.min(kept, max - chosen.size))
  const drawn = shuffled(
    rest.filter(({ peer }) => !chosen.has(peer)),
    random,
  )
  take(drawn, max - chosen.size)
  return [...chosen]
}

/** How many neighbours a holder takes that can serve more than homes do, a cache above all. */
export function neighboursMaxFor(uploadBytesPerS: number | undefined): number {
  // A neighbour for each megabit: at 32 a home's share of its uplink is no less.
  const served = Math.floor((uploadBytesPerS ?? 0) / 125_000)
  return Math.min(256, Math.max(neighboursMax, served))
}

/** Fisher and Yates. */
function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const list = [...items]
  for (let last = list.length - 1; last > 0; last--) {
    const at = Math.floor(random() * (last + 1))
    const moved = list[last] as T
    list[last] = list[at] as T
    list[at] = moved
  }
  return list
}
