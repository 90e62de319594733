/**
 * The mesh of the idle bench: a coordinator, a cache and neighbours on the internet of a street, and
 * one home that runs `potluck node run` as a chef would, alone in a network namespace of its own.
 */
import { rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import {
  type Child,
  connected,
  createProcesses,
  createRunFolder,
  createStreet,
  jsonLine,
  type Namespace,
  writeStreetSettings,
} from '../../../scripts/street/index.ts'

export type IdleMesh = AsyncDisposable & Readonly<{ node: Child }>

const program = fileURLToPath(new URL('../../../scripts/bin/potluck', import.meta.url))
const neighboursProgram = fileURLToPath(new URL('./neighbours.ts', import.meta.url))
const wait = { deadlineMs: 120_000 }
/** Above the street's own addresses; a neighbour has one each, as homes have. */
const firstHost = 20

/** Starts `nodes` nodes, the home's among them; resolves when all are connected. */
export async function startMesh(
  { nodes }: { readonly nodes: number },
  tell: (line: string) => void,
): Promise<IdleMesh> {
  await using stack = new AsyncDisposableStack()
  const run = await createRunFolder()
  stack.defer(() => rm(run.path, { recursive: true, force: true }))
  const street = await createStreet({ run })
  stack.defer(() => street.dispose())
  const processes = createProcesses({ run })
  stack.defer(() => processes.stopAll({ graceMs: 20_000 }))

  const { internet } = street
  const settings = await writeStreetSettings({
    run,
    host: internet.ipv4,
    registry: '127.0.0.1:5000',
  })
  const start = (
    name: string,
    { path }: Namespace,
    command: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Child => processes.start({ name, namespace: path, command, env, deathSignal: 'TERM' })
  const potluck = (noun: string, config: string): readonly string[] => [
    ...[program, noun, 'run', '--config', config, '--json'],
  ]
  const coordinator = start(
    'coordinator',
    internet.namespace,
    potluck('coordinator', settings.coordinator),
  )
  await coordinator.waitFor(jsonLine, wait)
  const cache = start('cache', internet.namespace, potluck('cache', settings.cache))
  await connected(cache, wait)
  const configs: string[] = []
  for (let number = 1; number < nodes; number++) {
    const ipv4 = `203.0.113.${firstHost + number}`
    await internet.namespace.script(`ip address add ${ipv4}/24 dev eth0`)
    configs.push(await settings.node(`neighbour${number}`, ipv4))
  }
  const around = start('neighbours', internet.namespace, [
    ...[process.execPath, neighboursProgram, ...configs],
  ])
  await around.waitFor(jsonLine, wait)
  tell(`a coordinator, a cache and ${configs.length} neighbours are up`)

  const home = await street.addHome({ label: 'home' })
  const config = await settings.node('home', home.ipv4)
  // What a chef who sets nothing has.
  const env = { POTLUCK_NODE_MDNS: 'true', POTLUCK_NODE_TESTBED: 'false' }
  const node = start('home', home.namespace, potluck('node', config), env)
  await connected(node, wait)
  const owned = stack.move()
  return { node, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
