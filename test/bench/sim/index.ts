/** Whole networks in virtual time: how many node-hours a CPU-minute shows, and how many promises broke. */
import { runSeed } from '../../sim/run.ts'
import { defineBench, type Figures, round } from '../bench.ts'

export const sim = defineBench({
  summary: 'coordinator and nodes in virtual time, with faults; every promise is watched',
  options: {
    nodes: { description: 'homes with a node', default: 1_000 },
    hours: { description: 'hours of faults', default: 24 },
    seeds: { description: 'how many seeds, one after the other', default: 1 },
    first: { description: 'the first seed: replays one that failed', default: 1 },
    trace: { description: 'print the history of each seed', default: false },
  },
  async run({ nodes, hours, seeds, first, trace }, tell): Promise<Figures> {
    const before = process.cpuUsage()
    let [nodeHours, violations] = [0, 0]
    for (let seed = first; seed < first + seeds; seed++) {
      const result = await runSeed({ seed, nodes, hours, keepsTrace: trace })
      nodeHours += result.nodeHours
      violations += result.violations.length
      for (const line of result.trace) tell(line)
      for (const line of result.violations) tell(`seed ${seed}: ${line}`)
      tell(`seed ${seed}: ${result.replacements} replacements, trace ${result.traceHash}`)
      if (result.violations.length > 0) {
        const again = `--nodes ${nodes} --hours ${hours} --first ${seed} --trace`
        tell(`seed ${seed}: again with: npm run -s bench -- sim ${again}`)
      }
    }
    const { user, system } = process.cpuUsage(before)
    return {
      nodeHours: round(nodeHours),
      nodeHoursPerCpuMinute: round(nodeHours / ((user + system) / 60e6)),
      violations,
      seeds,
    }
  },
})
