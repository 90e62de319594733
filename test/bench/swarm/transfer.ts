/**
 * One image from the cache to all homes: ingested first, with every node connected and idle; then
 * the group is started, and each home's time is that of its own log, from the moment when the first
 * order came to a node to the moment when this home held the last byte, verified.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Dispatcher, request } from 'undici'
import { buildImage, type Image, pushImage, randomLayer } from '../../../scripts/image/index.ts'
import type { Child, Line } from '../../../scripts/street/index.ts'
import { cpuSeconds } from '../process-cost.ts'
import { countLines, type LineSample } from './line-counters.ts'
import { metricsPort, type SwarmNetwork } from './network.ts'

export type Transfer = Readonly<{
  /** Unix ms at which the first order came to a node. */
  startMs: number
  /** For each home, seconds from then until it held everything. */
  doneS: readonly number[]
  registryBytes: number
  /** Chunks that came to a home twice. */
  duplicateBytes: number
  /** Of cache and nodes together, from the start on. */
  cpuSeconds: number
  /** The cache's link, then each home's. */
  samples: readonly LineSample[]
}>

export type TransferInit = Readonly<{
  image: Image
  /** Into the internet. */
  agent: Dispatcher
  signal: AbortSignal
  tell: (line: string) => void
  /** Happens when half of all bytes have come to the homes. */
  incident?: Incident | undefined
}>

export type Incident = (network: SwarmNetwork) => Promise<void>

const repository = 'bench/swarm'
const group = 'swarm'
const pollMs = 100

/** Random bytes, so that nothing on the way makes them fewer. */
export async function makeImage(bytes: number): Promise<Image> {
  const layer = await randomLayer({ sizeBytes: bytes, seed: `swarm ${bytes}` })
  return buildImage({ layers: [layer], config: { Cmd: ['/start'] } })
}

export async function pushAndIngest(network: SwarmNetwork, init: TransferInit): Promise<void> {
  const { registry, tenant, nodes } = network
  const { image, agent, signal, tell } = init
  await pushImage(image, { registry: registry.url, repository, dispatcher: agent, signal })
  await tenant.deploy({
    name: group,
    replicas: nodes.length,
    autostart_policy: false,
    restart_policy: 'always',
    container: {
      image: `${registry.address}/${repository}@${image.digest}`,
      resources: { cpu: 1, memory: 1024 },
    },
  })
  for (;;) {
    const { state, fault } = (await tenant.group(group)).potluck.image
    if (state === 'ready') break
    if (state === 'failed') throw new Error(`the cache could not read the image: ${fault?.message}`)
    await sleep(pollMs, undefined, { signal })
  }
  tell(`the cache holds ${image.blobBytes} bytes`)
}

/** Starts the group and waits until all hold it and run. */
export async function transfer(network: SwarmNetwork, init: TransferInit): Promise<Transfer> {
  const { registry, tenant, cache, nodes } = network
  const { signal, tell, image } = init
  const members = [cache, ...nodes]
  const cpuOfAll = async (): Promise<number> =>
    (await Promise.all(members.map(({ child }) => cpuSeconds(child.pid)))).reduce((a, b) => a + b)
  const lines = countLines(() => members.map(({ child }) => child.pid))
  try {
    const cpuBefore = await cpuOfAll()
    const begun = nodes.map(({ child }) => whenState(child, 'downloading', signal))
    const ended = nodes.map(async ({ child, home }) => {
      const atMs = await whenState(child, 'creating', signal)
      tell(`${home.label} has it`)
      return atMs
    })
    await tenant.start(group)
    const startMs = Math.min(...(await Promise.all(begun)))
    if (init.incident) {
      const halfBytes = (nodes.length * image.blobBytes) / 2
      await untilReceived(lines.samples, { halfBytes, signal })
      await init.incident(network)
    }
    const doneMs = await Promise.all(ended)
    const cpu = (await cpuOfAll()) - cpuBefore
    await Promise.all(nodes.map(({ child }) => whenState(child, 'running', signal)))
    const layers = new Set<string>([image.config, ...image.layers].map(({ digest }) => digest))
    const read = [...registry.blobReads()].filter(([digest]) => layers.has(digest))
    return {
      startMs,
      doneS: doneMs.map((ms) => (ms - startMs) / 1000),
      registryBytes: read.reduce((sum, [, { bytes }]) => sum + bytes, 0),
      duplicateBytes: await duplicatesOf(network, init),
      cpuSeconds: cpu,
      samples: lines.samples(),
    }
  } finally {
    await lines.stop()
  }
}

/** By the counters of the homes' links; the first line is the cache's. */
async function untilReceived(
  samples: () => readonly LineSample[],
  { halfBytes, signal }: Readonly<{ halfBytes: number; signal: AbortSignal }>,
): Promise<void> {
  const received = (sample: LineSample | undefined): number =>
    (sample?.counts ?? []).slice(1).reduce((sum, { inBytes }) => sum + inBytes, 0)
  const before = received(samples()[0])
  while (received(samples().at(-1)) - before < halfBytes) await sleep(pollMs, undefined, { signal })
}

async function duplicatesOf(network: SwarmNetwork, init: TransferInit): Promise<number> {
  const { agent, signal } = init
  const counts = network.nodes.map(async ({ home }) => {
    const url = `http://${home.ipv4}:${metricsPort}/metrics`
    const { body } = await request(url, { dispatcher: agent, signal })
    return Number(/^potluck_swarm_duplicate_bytes_total (\S+)$/m.exec(await body.text())?.[1])
  })
  return (await Promise.all(counts)).reduce((a, b) => a + b)
}

/** Unix ms, by the node's own log, at which its instance came to `state`. */
async function whenState(child: Child, state: string, signal: AbortSignal): Promise<number> {
  return await child.waitFor((line) => timeOfState(line, state), {
    signal,
    deadlineMs: 2 ** 31 - 1, // the bench's own deadline is in the signal
  })
}

function timeOfState({ text }: Line, state: string): number | undefined {
  if (!text.includes('"instance changed state"')) return undefined
  const line = JSON.parse(text) as { time: string; state: string }
  return line.state === state ? Date.parse(line.time) : undefined
}
