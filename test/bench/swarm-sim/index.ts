/**
 * The swarm's schedule on thousands of homes without a socket: the policies themselves under a
 * virtual clock. It ranks policies and sizes, and shows in seconds what a street of machines would
 * take hours for; what it leaves out (loss, a TCP's start, CPU) the bench `swarm` measures.
 */
import { defineBench, type Figures, round } from '../bench.ts'
import { plainStreet, saladStreet } from './scenarios.ts'
import { type Simulated, simulate } from './simulate.ts'
import { sweep } from './sweep.ts'
import { wireTax } from './world.ts'

/** Coarser than such layers are really cut, which costs the schedule a little: five times faster. */
const saladChunkBytes = 1 << 20

/** The mean of several runs, as it is printed. */
function figuresOf(runs: readonly Simulated[]): Figures {
  const mean = (of: (run: Simulated) => number): number =>
    runs.reduce((sum, run) => sum + of(run), 0) / runs.length
  const nodeSeconds = mean(({ homes, simulatedS }) => homes * simulatedS)
  return {
    homes: mean(({ homes }) => homes),
    bytes: mean(({ bytes }) => bytes),
    boundS: round(mean(({ boundS }) => boundS)),
    firstS: round(mean(({ firstS }) => firstS)),
    medianS: round(mean(({ medianS }) => medianS)),
    p80S: round(mean(({ p80S }) => p80S)),
    p90S: round(mean(({ p90S }) => p90S)),
    lastS: round(mean(({ lastS }) => lastS)),
    ratioToBound: Math.round(mean(({ lastS, boundS }) => lastS / boundS) * 1000) / 1000,
    duplicateBytes: Math.round(mean(({ duplicateBytes }) => duplicateBytes)),
    nodeSecondsPerCpuSecond: Math.round(nodeSeconds / mean(({ cpuS }) => cpuS)),
  }
}

export const swarmSim = defineBench({
  summary: 'the schedule of the swarm, simulated: one image to many homes against the bound',
  options: {
    homes: { description: 'homes that want the image', default: 2000 },
    mb: { description: 'megabytes of the image', default: 64 },
    'seed-up': { description: "the seed's upload in Mbit/s", default: 20 },
    up: { description: "the homes' uploads in Mbit/s, in turns", default: [10] },
    down: { description: "the homes' download in Mbit/s", default: 50 },
    seed: { description: 'of the randomness; the first of several', default: 1 },
    runs: { description: 'runs of salad-2025 or of the sweep, with seeds in a row', default: 5 },
    tax: {
      description: 'bytes on the wire for one of payload; salad-2025: 1, its links are goodput',
      default: wireTax,
    },
    scenario: {
      description: 'salad-2025 prints the run with churn first, the steady one last',
      default: 'street',
      choices: ['street', 'salad-2025'],
    },
    sweep: {
      description: 'one choice of the schedule changed at a time, as a table',
      default: false,
    },
  },
  async run(options, tell) {
    const { homes, mb, up, down, seed, runs, tax, scenario } = options
    const seeds = Array.from({ length: runs }, (_, at) => seed + at)
    if (options.sweep) sweep(seeds, tax, tell)
    if (scenario === 'salad-2025') {
      const salad = (churn: boolean): Simulated[] =>
        seeds.map((one) => {
          const street = saladStreet({ churn })
          const run = simulate({ ...street, seed: one, tax: 1, chunkBytes: saladChunkBytes })
          tell(JSON.stringify({ seed: one, churn, ...figuresOf([run]) }))
          return run
        })
      const churned = salad(true)
      const newcomerMedianS = churned.reduce((sum, run) => sum + run.newcomerMedianS, 0) / runs
      const figures = {
        churn: true,
        ...figuresOf(churned),
        newcomerMedianS: round(newcomerMedianS),
      }
      process.stdout.write(`${JSON.stringify(figures)}\n`)
      return figuresOf(salad(false))
    }
    const plain = plainStreet({ homes, mb, seedUp: options['seed-up'], up, down })
    return figuresOf([simulate({ ...plain, seed, tax })])
  },
})
