/**
 * What the demo runs on: a street with four homes, a private registry with the image, and the
 * processes of Potluck, each as an operator or a chef would run it. Started and stopped here.
 */
import { randomBytes } from 'node:crypto'
import type { Agent } from 'undici'
import { createManagedEngine } from '../../node/engine/index.ts'
import { PotluckError } from '../../protocol/errors.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { type Image, pushImage } from '../image/index.ts'
import { type CoordinatorFacts, nodeFolders, readCoordinator } from '../network/index.ts'
import {
  type Child,
  type Credentials,
  connected,
  createProcesses,
  createStreet,
  type Namespace,
  potluckCommand,
  type Reach,
  type Registry,
  type RunFolder,
  reachInto,
  ready,
  type Street,
  startRegistry,
  writeStreetSettings,
} from '../street/index.ts'

export type DemoNode = Readonly<{
  name: string
  ipv4: string
  /** libp2p's; what the API calls an instance's node. */
  peer: string
  /** Of the engine that the node started for itself. */
  engineSocket: string
}>

export interface DemoNetwork {
  readonly registry: Registry
  /** `host:port/name:tag`, as a tenant names the image. */
  readonly reference: string
  readonly credentials: Credentials
  readonly tenant: CoordinatorFacts
  /** Into the coordinator's namespace. */
  readonly agent: Agent
  readonly nodes: readonly DemoNode[]
  /** `kill -9` of a node's daemon; resolves when it is gone. */
  killNode(node: DemoNode): Promise<void>
  /** Starts a killed daemon again; resolves when it is connected. */
  restartNode(node: DemoNode): Promise<void>
}

export type DemoNetworkInit = Readonly<{
  run: RunFolder
  nodes: number
  image: Image
  env: Readonly<Record<string, string | undefined>>
  onStep: (text: string) => void
  /** A process ended that nobody had asked to. */
  onDied: (error: Error) => void
  signal: AbortSignal
}>

export interface DemoNetworkOwner {
  /** To be called once. @throws what kept a part from starting; then call `stop` all the same. */
  start(): Promise<DemoNetwork>
  /** Of every namespace made, to look for what still lives in it. */
  namespaces(): readonly Namespace[]
  /** Nodes first, while the coordinator still hears their goodbyes. Twice is harmless. */
  stop(): Promise<void>
}

const repository = 'kitchen/demo'
const registryPort = 5000
const startMs = 120_000
const nodeStopMs = 40_000
const otherStopMs = 10_000

/** Holds what it starts from the first moment on, so that any failure can be cleaned up. */
export function createDemoNetwork(init: DemoNetworkInit): DemoNetworkOwner {
  const { run, nodes: count, image, env, onStep, onDied, signal } = init
  const processes = createProcesses({ run })
  const daemons = new Map<string, Child>()
  /** Those that are meant to end. */
  const released = new WeakSet<Child>()
  let street: Street | undefined
  let reach: Reach | undefined
  let agent: Agent | undefined

  const start = (noun: string, name: string, config: string, namespace: Namespace): Child => {
    const child = processes.start({
      name,
      namespace: namespace.path,
      command: potluckCommand(noun, config),
      env: blankSettings(env),
      deathSignal: 'TERM',
    })
    void child.exited.then(({ code, signal: by }) => {
      if (released.has(child)) return
      const last = child.lines().at(-1)?.text ?? ''
      onDied(new PotluckError('DEMO_PROCESS_ENDED', `${name} ended with ${by ?? code}: ${last}`))
    })
    return child
  }

  const startStreet = async (): Promise<Street> => {
    street = await createStreet({ run, signal })
    return street
  }

  return {
    async start() {
      const { internet, addHome } = await startStreet()
      const at = { namespace: internet.namespace.path, host: internet.ipv4 }
      const credentials = { username: 'tenant', password: randomBytes(18).toString('base64url') }
      const wait = { signal, deadlineMs: startMs }
      const registry = await startRegistry(
        { ...at, port: registryPort, credentials },
        { processes, run, wait },
      )
      reach = await reachInto(internet.namespace, { processes, run, wait })
      agent = reach.agent()
      onStep(`registry at ${registry.address}: pushing the image`)
      const target = { registry: registry.url, repository, credentials, dispatcher: agent, signal }
      await pushImage(image, { ...target, tag: 'latest' })

      const settings = await writeStreetSettings({
        ...{ run, host: internet.ipv4, registry: registry.address },
      })
      const coordinator = start(
        'coordinator',
        'coordinator',
        settings.coordinator,
        internet.namespace,
      )
      const cache = start('cache', 'cache', settings.cache, internet.namespace)
      const homes = await addHomes(addHome, count, signal)
      const starts = homes.map(async ({ label, ipv4, namespace }) => {
        const config = await settings.node(label, ipv4)
        const launch = async (): Promise<string> => {
          const child = start('node', label, config, namespace)
          daemons.set(label, child)
          const { peer } = await connected(child, wait)
          return String(peer)
        }
        const peer = await launch()
        onStep(`${label} at ${ipv4} has an engine of its own and is connected`)
        const { socketPath } = engineOf(run, label)
        return { node: { name: label, ipv4, peer, engineSocket: socketPath }, launch }
      })
      for (const each of starts) each.catch(() => {}) // awaited below, perhaps after another failure
      const tenant = await readCoordinator(await ready(coordinator, wait))
      onStep(`coordinator: the API answers at ${tenant.baseUrl}`)
      await connected(cache, wait)
      onStep('cache is connected')
      const started = await Promise.all(starts)
      return {
        registry,
        reference: `${registry.address}/${repository}:latest`,
        credentials,
        tenant,
        agent,
        nodes: started.map(({ node }) => node),
        async killNode({ name }) {
          const child = daemons.get(name)
          if (!child) return
          released.add(child)
          child.kill('SIGKILL')
          await child.exited
        },
        async restartNode({ name }) {
          await started.find(({ node }) => node.name === name)?.launch()
        },
      }
    },
    namespaces: () => street?.namespaces.all() ?? [],
    async stop() {
      for (const child of processes.running()) released.add(child)
      await Promise.all([...daemons.values()].map((child) => child.stop({ graceMs: nodeStopMs })))
      await agent?.destroy()
      await processes.stopAll({ graceMs: otherStopMs })
      await street?.dispose()
    },
  }
}

type AddHome = Street['addHome']

/** One after the other: they are numbered. */
async function addHomes(addHome: AddHome, count: number, signal: AbortSignal) {
  const homes: Awaited<ReturnType<AddHome>>[] = []
  for (let number = 1; number <= count; number++) {
    homes.push(await addHome({ label: `node${number}` }, { signal }))
  }
  return homes
}

function engineOf(run: RunFolder, name: string) {
  return createManagedEngine(nodeFolders(run, name), { logger: silentLogger })
}

/** A setting in the environment of who starts us is meant for another network; empty is unset. */
function blankSettings(env: DemoNetworkInit['env']): Record<string, string> {
  const names = Object.keys(env).filter((name) => /^POTLUCK_(NODE|CACHE|COORDINATOR)_/.test(name))
  return Object.fromEntries(names.map((name) => [name, '']))
}
