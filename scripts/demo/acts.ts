/**
 * The main job in four acts: deploy, show where the bytes went, lose a node, stop. Each act does
 * what a tenant or a chef would do, then looks at the result from outside and notes whether it held.
 */
import { randomBytes } from 'node:crypto'
import { PotluckError } from '../../protocol/errors.ts'
import { type ContainerSight, createEngineView, type EngineView } from './engine-view.ts'
import { showBlobs, showInstances } from './evidence.ts'
import type { DemoNetwork, DemoNode } from './network.ts'
import { instanceRows, nameOf, progressRows } from './progress.ts'
import { filesWithSecrets } from './secret-search.ts'
import type { Stage } from './stage.ts'
import type { DemoInstance } from './tenant.ts'
import { shorten } from './text.ts'
import { waitUntil, watchGroup } from './watch.ts'

const groupName = 'demo'
const replicas = 3
/** Characters of a container's line that are shown. */
const outputWidth = 100
const canaryName = 'DEMO_SECRET'
/** Seconds on a quiet machine; several of these run at once on a busy one. */
const deadlines = { runningMs: 300_000, replacedMs: 240_000, outputMs: 30_000, goneMs: 120_000 }

/** Runs all acts. @throws what kept one from its end; what held until then is on record. */
export async function playActs(stage: Stage): Promise<void> {
  const { screen } = stage
  const canary = randomBytes(18).toString('base64url')
  screen.title(`Deploying ${replicas} replicas over HTTP`)
  const instances = await deploy(stage, canary)
  screen.title('What happened')
  await showEvidence(stage, instances, canary)
  screen.title('Losing a node')
  await loseNode(stage, instances)
  screen.title('Stopping the group')
  await stopGroup(stage)
}

async function deploy(stage: Stage, canary: string): Promise<readonly DemoInstance[]> {
  const { network, tenant, record, screen, signal } = stage
  const startedMs = performance.now()
  await tenant.deploy({
    name: groupName,
    replicas,
    autostart_policy: true,
    restart_policy: 'always',
    container: {
      image: network.reference,
      resources: { cpu: 1, memory: 1_024 },
      registry_authentication: { basic: network.credentials },
      environment_variables: { [canaryName]: canary },
    },
  })
  const onLook = (look: Parameters<typeof progressRows>[0]): void =>
    screen.rows(progressRows(look, network.nodes))
  const { instances } = await watchGroup(
    tenant,
    { group: groupName, what: 'all run', deadlineMs: deadlines.runningMs, signal, onLook },
    (look) => look.instances.filter(({ state }) => state === 'running').length === replicas,
  )
  screen.settle()
  record.figures.replicas = replicas
  record.figures.toRunningS = secondsSince(startedMs)
  const names = instances.map((instance) => nameOf(instance, network.nodes))
  record.check(
    'allRun',
    instances.length === replicas && new Set(names).size === replicas,
    `${names.join(', ')} after ${record.figures.toRunningS} s`,
  )
  return instances
}

async function showEvidence(
  stage: Stage,
  instances: readonly DemoInstance[],
  canary: string,
): Promise<void> {
  const { network, record, screen, run } = stage
  screen.line("The registry's own access log:")
  showBlobs(stage)
  screen.line('')
  screen.line('Where each node got its bytes, and what its endpoint served to its own engine:')
  showInstances(stage, instances)
  screen.line('')
  screen.line('What the containers write, read from each engine:')
  for (const instance of instances) await showOutput(stage, instance, canary)
  const { username, password } = network.credentials
  const basic = Buffer.from(`${username}:${password}`).toString('base64')
  const files = await filesWithSecrets(run.path, [canary, password, basic])
  record.check('secrets', files.length === 0, files.join(', ') || 'searched while all ran')
}

async function showOutput(stage: Stage, instance: DemoInstance, canary: string): Promise<void> {
  const { network, record, screen, signal } = stage
  const name = nameOf(instance, network.nodes)
  const view = viewOf(network, name)
  const container = await containerOf(view, instance, name)
  let line: string | undefined
  await waitUntil(
    `${name}: a line of output`,
    { deadlineMs: deadlines.outputMs, signal },
    async () => {
      line = (await view.output(container.id)).find((text) => text.includes(' serves on port '))
      return line !== undefined
    },
  )
  screen.line(`  ${name}  ${shorten(line ?? '', outputWidth)}`)
  record.check('output', container.state === 'running', `${name} ${container.state}`)
  const environment = await view.environment(container.id)
  record.check('environment', environment.includes(`${canaryName}=${canary}`), canaryName)
}

async function containerOf(
  view: EngineView,
  instance: DemoInstance,
  name: string,
): Promise<ContainerSight> {
  const containers = await view.containers()
  const found = containers.find((container) => container.instance === instance.id)
  if (!found || containers.length !== 1) {
    throw new PotluckError(
      'DEMO_WRONG_CONTAINERS',
      `${name}: its engine has ${containers.length} containers, wanted is one, of ${instance.id}`,
    )
  }
  return found
}

async function loseNode(stage: Stage, before: readonly DemoInstance[]): Promise<void> {
  const { network, tenant, record, screen, signal } = stage
  const lost = before.toSorted((a, b) => a.potluck.slot - b.potluck.slot)[0]
  const node = network.nodes.find(({ peer }) => peer === lost?.potluck.node)
  const spare = network.nodes.find(({ peer }) => before.every((it) => it.potluck.node !== peer))
  if (!lost || !node || !spare) throw new PotluckError('DEMO_NO_SPARE', 'there is no spare node')
  const { slot, epoch } = lost.potluck
  await network.killNode(node)
  const killedMs = performance.now()
  screen.line(
    `kill -9 of ${node.name}, which has slot ${slot} under epoch ${epoch}; spare: ${spare.name}`,
  )
  const isReplacement = (it: DemoInstance): boolean =>
    it.potluck.slot === slot && it.potluck.epoch > epoch && it.state === 'running'
  const { instances } = await watchGroup(
    tenant,
    {
      ...{ group: groupName, what: `slot ${slot} runs elsewhere`, signal },
      deadlineMs: deadlines.replacedMs,
      onLook: (look) => screen.rows(instanceRows(look, network.nodes)),
    },
    (look) => look.instances.some(isReplacement),
  )
  screen.settle()
  const { figures } = record
  figures.replacedInS = secondsSince(killedMs)
  figures.epochBefore = epoch
  const replacement = instances.find(isReplacement)
  if (!replacement) throw new PotluckError('DEMO_NO_SPARE', 'the replacement is gone again')
  figures.epochAfter = replacement.potluck.epoch
  figures.peerBytes = (figures.peerBytes ?? 0) + replacement.potluck.bytes_from_peers
  const place = `${nameOf(replacement, network.nodes)} under epoch ${figures.epochAfter}`
  record.check(
    'replaced',
    replacement.potluck.node === spare.peer && figures.epochAfter > epoch,
    `slot ${slot}: ${node.name} under epoch ${epoch}, now ${place}, after ${figures.replacedInS} s`,
  )
  showInstances(stage, instances)
  noteReadsOfReplacement(stage)
  await bringBack(stage, node)
}

function noteReadsOfReplacement({ network, record, image }: Stage): void {
  const reads = [...network.registry.blobReads().values()]
  const most = Math.max(...reads.map((blob) => blob.reads))
  const bytes = reads.reduce((sum, blob) => sum + blob.bytes, 0)
  record.figures.maxReadsPerBlob = most
  record.figures.registryBytes = bytes
  record.check('oneReadStill', most === 1 && bytes === image.blobBytes, `at most ${most} a blob`)
}

async function bringBack(
  { network, record, screen, signal }: Stage,
  node: DemoNode,
): Promise<void> {
  const view = createEngineView(node.engineSocket)
  const [old] = await view.containers()
  const state = old ? `${old.state}, which its guard would end` : 'gone'
  screen.line(`starting ${node.name} again; its old container is ${state}`)
  await network.restartNode(node)
  const { goneMs: deadlineMs } = deadlines
  const what = `${node.name}: its old container is removed`
  await waitUntil(what, { deadlineMs, signal }, async () => (await view.containers()).length === 0)
  record.check('noneTooMany', true, `none is left in the engine of ${node.name}`)
  screen.line(`${node.name} is back and has removed it`)
}

async function stopGroup({ network, tenant, record, screen, signal }: Stage): Promise<void> {
  await tenant.stop(groupName)
  const views = network.nodes.map(({ name, engineSocket }) => ({
    name,
    view: createEngineView(engineSocket),
  }))
  const count = async () =>
    await Promise.all(
      views.map(async ({ name, view }) => {
        const [containers, images] = [await view.containers(), await view.images()]
        return { name, containers: containers.length, images: images.length }
      }),
    )
  let left = await count()
  const sum = (): number => left.reduce((all, it) => all + it.containers + it.images, 0)
  try {
    const wait = { deadlineMs: deadlines.goneMs, signal }
    await waitUntil('containers and images are gone', wait, async () => {
      left = await count()
      return sum() === 0
    })
  } finally {
    record.figures.leftovers = sum()
    record.check('gone', sum() === 0, `${network.nodes.length} engines asked`)
    for (const { name, containers, images } of left) {
      screen.line(`${name}: ${containers} containers, ${images} images`)
    }
  }
}

function viewOf(network: DemoNetwork, name: string): EngineView {
  const node = network.nodes.find((it) => it.name === name)
  if (!node) throw new PotluckError('DEMO_UNKNOWN_NODE', `an instance is on ${name}, none of ours`)
  return createEngineView(node.engineSocket)
}

function secondsSince(startedMs: number): number {
  return Math.round((performance.now() - startedMs) / 100) / 10
}
