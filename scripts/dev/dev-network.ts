/**
 * A whole network of real processes on one machine: what is started, in which order, and how it
 * ends. Everything that it makes lies in one folder or bears its name.
 */
import { pushImage, smallImage } from '../image/index.ts'
import { readCoordinator, type Settings } from '../network/index.ts'
import type { Child } from '../street/child.ts'
import { connected, ready } from '../street/potluck.ts'
import { createProcesses } from '../street/processes.ts'
import { startRegistry } from '../street/registry.ts'
import { environmentOf, startChild, tetheredCommand } from './child.ts'
import { createHomes, type Homes } from './homes.ts'
import { applyHostRules } from './host-rules.ts'
import type { Run } from './run.ts'
import { choosePlaces, writeDevSettings } from './settings.ts'
import { sweepRun } from './sweep.ts'

export type DevInit = Readonly<{
  run: Run
  engine: 'docker' | 'simulated'
  nodes: number
  apiPort: number
  rateLimit: number
  env: Readonly<Record<string, string | undefined>>
  /** Told of each step, for people who wait. */
  onStep: (text: string) => void
}>

/** What a client needs. */
export type DevFacts = Readonly<{
  baseUrl: string
  apiKey: string
  organization: string
  project: string
  nodes: number
  image: string
  /** host:port; absent with the simulated engine. */
  registry?: string
}>

export interface DevNetwork {
  readonly facts: DevFacts
  readonly children: readonly Child[]
  /** Without those the rest is no network: coordinator, cache. */
  readonly vital: readonly Child[]
}

/** Generous: a start takes seconds, but the machine may be busy. */
export const startMs = 120_000
/** A goodbye, containers that heed SIGTERM, an engine that ends. */
const nodeStopMs = 25_000
const otherStopMs = 5_000

/** Owns what it starts: `stop()` is to be called also after a start that failed. */
export function createDevNetwork(init: DevInit) {
  const { run, engine, nodes, env, onStep } = init
  const children: Child[] = []
  const registries = createProcesses({ run })
  let homes: Homes | undefined
  let images: ReturnType<typeof startImages> | undefined

  const start = (noun: string, name: string, config: string, namespace?: string): Child => {
    const child = startChild({
      name,
      command: tetheredCommand(noun, config, { logLevel: 'info', namespace }),
      env: environmentOf(run, env),
      logFile: `${run.path}/${name}.log`,
    })
    children.push(child)
    return child
  }

  const startNode = async (number: number, settings: Settings): Promise<Child> => {
    const name = `node-${number}`
    const home = await homes?.add(name)
    const config = await settings.node(name, home?.ipv4 ?? '127.0.0.1')
    return start('node', name, config, home?.namespace.path)
  }

  const startImages = async (): Promise<{ image: string; registry?: string }> => {
    if (engine === 'simulated') return { image: 'docker.io/library/hello:latest' }
    const registry = await startRegistry({}, { processes: registries, run })
    await pushImage(await smallImage(), { registry: registry.url, repository: 'hello' })
    return { image: `${registry.address}/hello:latest`, registry: registry.address }
  }

  return {
    children: children as readonly Child[],
    /** @throws {NotReadyError} a process ended or was too slow. @throws the signal's reason. */
    async start(signal: AbortSignal): Promise<DevNetwork> {
      const wait = { signal, deadlineMs: startMs }
      images = startImages()
      images.catch(() => {}) // awaited below, perhaps after another failure
      if (engine === 'docker') homes = await createHomes({ run })
      const places = await choosePlaces(homes)
      const settings = await writeDevSettings({ ...init, places })
      if (homes) {
        const tcpPorts = Object.values(places).map((place) => place.port)
        await applyHostRules({ run, ...homes, tcpPorts }, { signal })
      }
      signal.throwIfAborted()
      const coordinator = start('coordinator', 'coordinator', settings.coordinator)
      const cache = start('cache', 'cache', settings.cache)
      const peers = [cache]
      for (let number = 1; number <= nodes; number++) peers.push(await startNode(number, settings))
      onStep(`started ${children.map(({ name }) => name).join(', ')}`)

      const facts = await readCoordinator(await ready(coordinator, wait))
      onStep(`the API answers at ${facts.baseUrl}`)
      await Promise.all(
        peers.map(async (peer) => {
          await connected(peer, wait)
          onStep(`${peer.name} is connected`)
        }),
      )
      const { image, registry } = await images
      return {
        facts: { ...facts, nodes, image, ...(registry === undefined ? {} : { registry }) },
        children,
        vital: [coordinator, cache],
      }
    },
    /** @param graceful false: no goodbyes, all ends at once. Always removes everything. */
    async stop({ graceful }: { readonly graceful: boolean }): Promise<void> {
      if (graceful) await stopInOrder(children)
      else for (const child of children) child.kill('SIGKILL')
      await registries.stopAll({ graceMs: graceful ? otherStopMs : 0 })
      // A registry whose start was under way when another's failed.
      await images?.catch(() => {})
      await registries.stopAll()
      await Promise.all(children.map(({ exited }) => exited))
      await sweepRun(run, { engines: engine === 'docker' })
    },
  }
}

/** Nodes while the coordinator still hears their goodbyes. */
async function stopInOrder(children: readonly Child[]): Promise<void> {
  const isNode = ({ name }: Child): boolean => name.startsWith('node-')
  await Promise.all(children.filter(isNode).map((child) => child.stop({ graceMs: nodeStopMs })))
  await Promise.all(
    children.filter((child) => !isNode(child)).map((it) => it.stop({ graceMs: otherStopMs })),
  )
}
