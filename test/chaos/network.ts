/**
 * A network of real processes of which any may be killed and started again: the same binary, config
 * files and folders as `potluck dev` has, without its rule that all ends when one does.
 */
import { cp, readFile, writeFile } from 'node:fs/promises'
import { environmentOf, tetheredCommand } from '../../scripts/dev/child.ts'
import { freePort } from '../../scripts/dev/free-port.ts'
import { createHomes, type Homes } from '../../scripts/dev/homes.ts'
import { applyHostRules } from '../../scripts/dev/host-rules.ts'
import { createRun, type Run } from '../../scripts/dev/run.ts'
import { choosePlaces, writeDevSettings } from '../../scripts/dev/settings.ts'
import { sweepRun } from '../../scripts/dev/sweep.ts'
import {
  type CoordinatorFacts,
  readCoordinator,
  type Settings,
} from '../../scripts/network/index.ts'
import { createProcesses } from '../../scripts/street/processes.ts'
import { type Registry, startRegistry } from '../../scripts/street/registry.ts'
import { createMember, type Member } from './member.ts'

export type ChaosInit = Readonly<{
  engine: 'docker' | 'simulated'
  nodes: number
  /** How long a restarted coordinator waits for nodes that are away. */
  reconnectWindow?: string
  /** Of each node; slow enough to be killed while it downloads. */
  download?: string
  /** How long the whole network may take to be ready. */
  startMs?: number
}>

export interface ChaosNetwork {
  readonly run: Run
  readonly facts: CoordinatorFacts
  readonly coordinator: Member
  readonly cache: Member
  readonly nodes: readonly Member[]
  readonly all: readonly Member[]
  /** With real engines only. */
  readonly registry: Registry
  /** Stops all and removes what they made. Twice is harmless. */
  stop(): Promise<void>
}

const nodeStopMs = 30_000
const otherStopMs = 5_000

/** Starts it, and resolves when every process is connected. What fails is cleaned up. */
export async function startChaosNetwork(init: ChaosInit): Promise<ChaosNetwork> {
  const { engine, nodes: count, startMs = 120_000 } = init
  const run = await createRun(engine === 'docker' ? '/var/tmp' : '/tmp')
  const registries = createProcesses({ run })
  const all: Member[] = []
  const stop = async (): Promise<void> => {
    // A frozen process hears no SIGTERM.
    for (const member of all) if (member.isUp) member.signal('SIGCONT')
    const nodes = all.filter(({ role }) => role === 'node')
    await Promise.all(nodes.map((member) => member.stop(nodeStopMs)))
    await Promise.all(all.map((member) => member.stop(otherStopMs)))
    await registries.stopAll({ graceMs: otherStopMs })
    if (process.env.CHAOS_KEEP) await keepLogs(run, process.env.CHAOS_KEEP)
    await sweepRun(run, { engines: engine === 'docker' })
  }
  try {
    const homes = engine === 'docker' ? await createHomes({ run }) : undefined
    const settings = await prepare(init, run, homes)
    const registry = homes ? await startRegistry({}, { processes: registries, run }) : undefined
    const member = (noun: Member['role'], name: string, config: string, namespace?: string) => {
      const made = createMember({
        ...{ name, role: noun, folder: run.path },
        command: tetheredCommand(noun, config, { logLevel: 'debug', namespace }),
        env: environmentOf(run, process.env),
      })
      all.push(made)
      made.start()
      return made
    }
    const coordinator = member('coordinator', 'coordinator', settings.coordinator)
    const cache = member('cache', 'cache', settings.cache)
    const nodes: Member[] = []
    for (let number = 1; number <= count; number++) {
      const name = `node-${number}`
      const home = await homes?.add(name)
      const config = await settings.node(name, home?.ipv4 ?? '127.0.0.1')
      if (init.download !== undefined) await limitDownload(config, init.download)
      nodes.push(member('node', name, config, home?.namespace.path))
    }
    const deadline = AbortSignal.timeout(startMs)
    const facts = await readCoordinator(await coordinator.ready(deadline))
    await Promise.all([cache, ...nodes].map((it) => it.ready(deadline)))
    return {
      ...{ run, facts, coordinator, cache, nodes, all, stop },
      get registry() {
        if (!registry) throw new Error('the simulated engine has no registry')
        return registry
      },
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function prepare(init: ChaosInit, run: Run, homes?: Homes): Promise<Settings> {
  const places = await choosePlaces(homes)
  const { engine, reconnectWindow } = init
  // A fixed port: a restarted coordinator must be found where it was.
  const apiPort = await freePort('127.0.0.1')
  const settings = await writeDevSettings({ run, engine, places, apiPort, rateLimit: 0 })
  if (reconnectWindow !== undefined) {
    const text = await readFile(settings.coordinator, 'utf8')
    await writeFile(settings.coordinator, `reconnect_window = "${reconnectWindow}"\n${text}`)
  }
  if (homes) {
    const tcpPorts = Object.values(places).map((place) => place.port)
    await applyHostRules({ run, ...homes, tcpPorts }, { signal: AbortSignal.timeout(60_000) })
  }
  return settings
}

/** For who looks into a run that failed. */
async function keepLogs(run: Run, folder: string): Promise<void> {
  await cp(run.path, `${folder}/${run.name}`, {
    recursive: true,
    filter: (path) => path === run.path || path.endsWith('.log'),
  })
}

async function limitDownload(config: string, rate: string): Promise<void> {
  await writeFile(config, `\n[bandwidth]\ndownload = "${rate}"\n`, { flag: 'a' })
}
