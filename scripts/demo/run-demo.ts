/** The demo from start to end: prepares, plays, tears down whatever happened, and says how it went. */
import { cp, mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describeError } from '../../protocol/errors.ts'
import { demoImage } from '../image/index.ts'
import { type ExitCode, exitCodes } from '../potluck/exit-codes.ts'
import { createRunFolder, type RunFolder } from '../street/index.ts'
import { thisMachine } from '../street/machine.ts'
import { playActs } from './acts.ts'
import { findLeft, runParent, sweep, sweepDeadRuns } from './leftovers.ts'
import { createDemoNetwork, type DemoNetworkOwner } from './network.ts'
import type { DemoOptions } from './options.ts'
import { checkNames, createRecord, type Record } from './record.ts'
import { requireMachine } from './requirements.ts'
import type { Screen } from './screen.ts'
import { createTenant } from './tenant.ts'
import { bytesText } from './text.ts'

export type World = Readonly<{
  env: Readonly<{ [name: string]: string | undefined }>
  /** The clone. */
  root: string
  screen: Screen
  /** Aborted: stop what was begun and remove it. */
  signal: AbortSignal
  /** Aborted: no more goodbyes. */
  urgent: AbortSignal
}>

const nodeCount = 4

/** @returns what was found, and the exit code. @throws {PotluckError} this machine is not fit. */
export async function runDemo(
  options: DemoOptions,
  world: World,
): Promise<{ record: Record; code: ExitCode }> {
  const { env, screen } = world
  requireMachine(thisMachine(env))
  for (const name of await sweepDeadRuns()) screen.line(`removed what ${name} left, a killed run`)
  const record = createRecord()
  const run = await createRunFolder({ parent: runParent })
  const died = new AbortController()
  const signal = AbortSignal.any([world.signal, died.signal])
  let owner: DemoNetworkOwner | undefined
  let failure: unknown
  try {
    screen.title('Preparing')
    const image = await prepareImage(world, signal)
    record.figures.imageBytes = image.blobBytes
    owner = createDemoNetwork({
      ...{ run, image, env, signal, nodes: nodeCount },
      onStep: screen.line,
      onDied: (error) => died.abort(error),
    })
    const network = await owner.start()
    record.figures.nodes = network.nodes.length
    const tenant = createTenant(network.tenant, { agent: network.agent, signal })
    await playActs({ run, network, tenant, image, record, screen, signal })
  } catch (error) {
    failure = error
  }
  screen.title(world.signal.aborted ? 'Stopped; removing everything' : 'Removing everything')
  if (failure !== undefined && !world.signal.aborted) {
    screen.verdict(`✘ ${describeError(failure)}`, false)
    screen.line(`logs: ${await keepLogs(run, world.root)}`)
  }
  await tearDown({ run, owner, record, options, world })
  return { record, code: conclude(record, world) }
}

async function prepareImage({ root, screen }: World, signal: AbortSignal) {
  const image = await demoImage({
    cacheFolder: join(root, '.potluck', 'cache'),
    onProgress: screen.line,
    signal,
  })
  const size = bytesText(image.blobBytes)
  screen.line(`image: ${size} in ${image.layers.length} layers (a Debian, Node, a web server)`)
  return image
}

/** Stops all in order, counts what that left, then makes sure that nothing is. */
async function tearDown({
  run,
  owner,
  record,
  options,
  world: { screen, urgent },
}: {
  readonly run: RunFolder
  readonly owner: DemoNetworkOwner | undefined
  readonly record: Record
  readonly options: DemoOptions
  readonly world: World
}): Promise<void> {
  try {
    if (!urgent.aborted) await Promise.race([owner?.stop(), aborted(urgent)])
  } catch (error) {
    screen.verdict(`✘ ${describeError(error)}`, false)
  }
  if (urgent.aborted) {
    await sweep(run)
    return
  }
  if (options.keep) screen.line(`kept: ${run.path}`)
  else await rm(run.path, { recursive: true, force: true }).catch(() => {}) // counted below
  const nodes = Array.from({ length: nodeCount }, (_, index) => `node${index + 1}`)
  const left = await findLeft(run, { nodes, namespaces: owner?.namespaces() ?? [] })
  const files = (text: string): boolean => options.keep && text.startsWith('file ')
  const what = left.what.filter((text) => !files(text))
  record.figures.leftovers = (record.figures.leftovers ?? 0) + what.length
  record.check('leftNothing', what.length === 0, what.slice(0, 5).join('; ') || 'looked for all')
  for (const text of what) screen.verdict(`✘ left, removed by force: ${text}`, false)
  if (what.length > 0) await sweep(run)
}

function conclude(record: Record, { screen, signal }: World): ExitCode {
  if (signal.aborted) {
    screen.line('stopped before its end; nothing is left')
    return exitCodes.failure
  }
  screen.title('Did it hold?')
  const made = new Map(record.checks().map((check) => [check.name, check]))
  for (const [name, text] of Object.entries(checkNames)) {
    const check = made.get(name as keyof typeof checkNames)
    if (check?.held) screen.verdict(`✔ ${text} (${check.detail})`, true)
    else screen.verdict(`✘ ${text} (${check ? check.detail : 'not reached'})`, false)
  }
  return record.passed() ? exitCodes.ok : exitCodes.failure
}

/** Of the last run that failed; logs hold no secrets. */
async function keepLogs(run: RunFolder, root: string): Promise<string> {
  const folder = join(root, '.potluck', 'demo-failed')
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  for (const name of await readdir(run.path).catch(() => [])) {
    if (name.endsWith('.log')) await cp(join(run.path, name), join(folder, name))
  }
  return folder
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}
