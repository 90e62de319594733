/** `potluck dev` from start to stop: cleans up after dead runs, starts, waits, tears down. */
import { tmpdir } from 'node:os'
import { PotluckError } from '../../protocol/errors.ts'
import type { Child, Exit } from '../street/child.ts'
import { thisMachine } from '../street/machine.ts'
import { createDevNetwork, type DevNetwork, startMs } from './dev-network.ts'
import { requireEngines } from './engine-need.ts'
import { createRun, deadRuns, type Run } from './run.ts'
import { readyStory } from './story.ts'
import { deadNamespaceOwners, sweepRun } from './sweep.ts'

export type DevOptions = Readonly<{
  engine: 'docker' | 'simulated'
  nodes: number
  port: number
  rateLimit: number
  json: boolean
}>

/** npm hands on the Ctrl-C that the terminal has sent already; that is one wish, not two. */
const sameWishMs = 500
/** Layers and volumes may be large, and /tmp is memory on many machines. */
const diskParent = '/var/tmp'

type Listener = (...args: unknown[]) => void
type World = Readonly<{
  env: Readonly<Record<string, string | undefined>>
  /** What was asked for. */
  stdout: (text: string) => void
  /** The story. */
  stderr: (text: string) => void
  /** Signals. */
  events: Readonly<{
    on(name: string, listener: Listener): unknown
    off(name: string, listener: Listener): unknown
  }>
}>

/** Resolves when it was asked to stop. @throws what ended it else, when all is removed again. */
export async function runDev(options: DevOptions, world: World): Promise<void> {
  const { stdout, stderr, env } = world
  const machine = thisMachine(env)
  const tell = (text: string): void => stderr(`potluck dev: ${text}\n`)
  if (options.engine === 'docker') requireEngines(machine)
  const isRoot = machine.platform === 'linux' && machine.uid === 0
  await sweepDeadRuns({ engines: isRoot, tell })

  const run = await createRun(options.engine === 'docker' ? diskParent : tmpdir())
  const network = createDevNetwork({
    ...{ run, engine: options.engine, nodes: options.nodes, apiPort: options.port },
    ...{ rateLimit: options.rateLimit, env },
    onStep: tell,
  })
  const wish = listenForStop(world, network.children, tell)
  try {
    const deadline = AbortSignal.timeout(startMs)
    const up = await network.start(AbortSignal.any([wish.signal, deadline]))
    const facts = { ...up.facts, folder: run.path, processes: pids(up.children) }
    stdout(options.json ? `${JSON.stringify(facts)}\n` : readyStory(up.facts, run.path))
    await Promise.race([untilAborted(wish.signal), untilBroken(up, wish.signal, tell)])
  } catch (error) {
    if (!wish.signal.aborted) throw error
  } finally {
    tell('stopping')
    wish.stopping()
    await network.stop({ graceful: !wish.isUrgent() })
    wish.dispose()
    tell('stopped; nothing is left')
  }
}

function pids(children: readonly Child[]): Record<string, number> {
  return Object.fromEntries(children.map(({ name, pid }) => [name, pid]))
}

async function sweepDeadRuns({
  engines,
  tell,
}: {
  readonly engines: boolean
  readonly tell: (text: string) => void
}): Promise<void> {
  const dead = await deadRuns([tmpdir(), diskParent])
  if (engines) {
    for (const name of await deadNamespaceOwners()) {
      if (!dead.some((run) => run.name === name)) dead.push({ name, path: `${diskParent}/${name}` })
    }
  }
  for (const run of dead) {
    tell(`removing what ${run.name} left, which was killed`)
    await sweepDead(run, engines, tell)
  }
}

/** What another user's run left is not ours to remove, and no reason not to start. */
async function sweepDead(run: Run, engines: boolean, tell: (text: string) => void): Promise<void> {
  try {
    await sweepRun(run, { engines })
  } catch (error) {
    tell(`${run.path} cannot be removed: ${(error as Error).message}`)
  }
}

/** The first signal asks to stop; a second one ends everything at once. */
function listenForStop(
  { events }: World,
  children: readonly Child[],
  tell: (text: string) => void,
) {
  const controller = new AbortController()
  let urgent = false
  let sinceMs = 0
  const onSignal = (name: unknown): void => {
    const nowMs = performance.now()
    if (!controller.signal.aborted && sinceMs === 0) {
      sinceMs = nowMs
      controller.abort(new Error(`stopped by ${name}`))
      return
    }
    if (urgent || nowMs - sinceMs < sameWishMs) return
    urgent = true
    tell('second signal: ending everything at once')
    for (const child of children) child.kill('SIGKILL')
  }
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const name of names) events.on(name, onSignal)
  return {
    signal: controller.signal,
    isUrgent: () => urgent,
    /** From now on any signal is a second one. */
    stopping() {
      if (sinceMs === 0) sinceMs = performance.now()
    },
    dispose() {
      for (const name of names) events.off(name, onSignal)
    },
  }
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}

/** A node may die, as nodes do: that is for trying. Without the rest there is no network. */
async function untilBroken(
  { vital, children }: DevNetwork,
  signal: AbortSignal,
  tell: (text: string) => void,
): Promise<void> {
  const nodes = children.filter((child) => !vital.includes(child))
  const nodesGone = Promise.all(
    nodes.map(async ({ name, exited }) => {
      const exit = await exited
      if (!signal.aborted) tell(`${describeExit(name, exit)}; the network goes on without it`)
    }),
  ).then(() => {
    throw new PotluckError('DEV_NO_NODES', 'the last node has ended, so all was stopped')
  })
  const vitalGone = vital.map(async ({ name, exited }) => {
    const exit = await exited
    throw new PotluckError('DEV_PROCESS_ENDED', describeExit(name, exit), { fields: { name } })
  })
  await Promise.race([nodesGone, ...vitalGone])
}

/** `cache ended with SIGKILL` */
function describeExit(name: string, { code, signal }: Exit): string {
  return `${name} ended with ${signal ?? `status ${code}`}`
}
