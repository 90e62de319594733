/**
 * What `potluck node run` costs a home while it has nothing to do: memory and CPU of daemon and
 * guard, bytes on the wire, in a mesh. A PC that is slower or a line that is busier for being lent is
 * not lent for long.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { defineBench, round } from '../bench.ts'
import { cpuSeconds, memoryBytes, processesOfHome, wireBytes } from '../process-cost.ts'
import { startMesh } from './mesh.ts'

export const idle = defineBench({
  summary: 'memory, CPU and traffic of a node without work in a mesh (as root)',
  options: {
    nodes: { description: 'nodes in the mesh, the measured one among them', default: 20 },
    warmup: { description: 'seconds before the count begins', default: 45 },
    seconds: { description: 'seconds counted', default: 120 },
  },
  async run({ nodes, warmup, seconds }, tell) {
    await using mesh = await startMesh({ nodes }, tell)
    const { pid } = mesh.node
    tell(`the node is connected; counting ${seconds} s after ${warmup} s`)
    await sleep(warmup * 1_000)

    const { own, engine } = await processesOfHome(pid)
    const look = async () => ({
      atMs: performance.now(),
      ownS: await sumOf(own, cpuSeconds),
      engineS: await sumOf(engine, cpuSeconds),
      bytes: await wireBytes(pid, 'eth0'),
    })
    const before = await look()
    await sleep(seconds * 1_000)
    const after = await look()
    const ms = after.atMs - before.atMs
    const percent = (cpuS: number): number => round((cpuS * 1e5) / ms)
    tell(`the engine that it started: ${percent(after.engineS - before.engineS)}% of a core`)
    return {
      rssMB: round((await sumOf(own, memoryBytes)) / 1e6),
      cpuPercent: percent(after.ownS - before.ownS),
      bytesPerMinute: Math.round(((after.bytes - before.bytes) * 60_000) / ms),
      meshSize: nodes,
      engineMB: round((await sumOf(engine, memoryBytes)) / 1e6),
    }
  },
})

async function sumOf(pids: readonly number[], cost: (pid: number) => Promise<number>) {
  const each = await Promise.all(pids.map(cost))
  return each.reduce((total, one) => total + one, 0)
}
