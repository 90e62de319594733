/** What each choice of the schedule costs or gains: one thing is changed at a time. */
import { plainStreet } from './scenarios.ts'
import { simulate } from './simulate.ts'
import type { Policy } from './world.ts'

type Change = Readonly<{ name: string; policy?: Partial<Policy>; chunkBytes?: number }>

const changes: readonly Change[] = [
  { name: 'as built' },
  { name: 'chunks of 256 KiB', chunkBytes: 256 << 10 },
  { name: 'chunks of 1 MiB', chunkBytes: 1 << 20 },
  { name: 'window 32', policy: { windowChunks: 32 } },
  { name: 'window 512', policy: { windowChunks: 512 } },
  { name: 'slots 1', policy: { slots: 1 } },
  { name: 'slots 4', policy: { slots: 4 } },
  { name: 'degree 8', policy: { degree: 8 } },
  { name: 'degree 16', policy: { degree: 16 } },
  { name: 'no plan of the seed', policy: { superSeed: false } },
  { name: 'no turns', policy: { favourites: false } },
]

/** 12 homes would not tell degrees apart. */
const streets = [
  { name: 'A', homes: 8, mb: 64, seedUp: 20, up: [10], down: 50 },
  { name: 'B', homes: 16, mb: 32, seedUp: 10, up: [5], down: 40 },
  { name: 'C', homes: 12, mb: 64, seedUp: 20, up: [2, 10, 40], down: 50 },
  { name: 'D', homes: 100, mb: 32, seedUp: 20, up: [10], down: 50 },
] as const

/** Prints a row a change: last home / bound and first home / last, a street after the other. */
export function sweep(seeds: readonly number[], tax: number, tell: (line: string) => void): void {
  const heads = streets.flatMap(({ name }) => [`${name} last`, `${name} first`])
  tell(`| changed | ${heads.join(' | ')} |`)
  tell(`| --- |${' --- |'.repeat(heads.length)}`)
  for (const { name, policy = {}, chunkBytes } of changes) {
    const cells = streets.flatMap((street) => {
      const runs = seeds.map((seed) => {
        const cut = chunkBytes === undefined ? {} : { chunkBytes }
        return simulate({ ...plainStreet(street), seed, tax, policy, ...cut })
      })
      const mean = (of: (run: (typeof runs)[number]) => number): string =>
        (runs.reduce((sum, run) => sum + of(run), 0) / runs.length).toFixed(3)
      return [mean((run) => run.lastS / run.boundS), mean((run) => run.firstS / run.boundS)]
    })
    tell(`| ${name} | ${cells.join(' | ')} |`)
  }
}
