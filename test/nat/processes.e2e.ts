/**
 * Two homes behind routers of their own, as chefs have them: `potluck node run` in each, and on the
 * internet a coordinator, a registry and a cache whose line is slower than the homes'. What the
 * protocol can do by itself is tested in nat.e2e.ts; here a group comes up by it.
 */
import { rm } from 'node:fs/promises'
import { expect } from 'chai'
import { parseExposition } from '../../protocol/metrics/exposition.fixture.ts'
import { unmountUnder } from '../../protocol/mounts/index.ts'
import type { Image } from '../../scripts/image/index.ts'
import {
  type Child,
  countLeftovers,
  createProcesses,
  createRunFolder,
  createStreet,
  findLeftovers,
  type Home,
  type Host,
  type Processes,
  type RunFolder,
  reachInto,
  type Street,
} from '../../scripts/street/index.ts'
import { type StreetLinks, streetLinks } from '../bench/swarm/links.ts'
import { metricsPort, startNetwork } from '../bench/swarm/network.ts'
import { makeImage, pushAndIngest } from '../bench/swarm/transfer.ts'
import { makeSilent, makeSymmetric } from './router.ts'

const imageBytes = 3_000_000
/**
 * A copy from the cache takes 25 s, from a home one: two that find one another
 * late, because the machine does much else, still have most of the image to share.
 */
const shared = { homes: 2, seedUpMbits: 1, upMbits: [20], downMbits: 50 }
/** Two copies from the cache take seven seconds. */
const alone = { ...shared, seedUpMbits: 8 }
const startMs = 120_000
const runningMs = 150_000

describe('two nodes behind routers of their own', function () {
  this.timeout(startMs + runningMs + 60_000)
  let image: Image
  let stage: Stage

  before(async () => {
    image = await makeImage(imageBytes)
  })
  beforeEach(async () => {
    stage = await openStage()
  })
  afterEach(async function () {
    if (this.currentTest?.isFailed()) console.error(lastWords(stage.processes))
    await closeStage(stage)
  })

  it('hand chunks to one another over a connection that both opened at once', async () => {
    const [a, b, helpers] = await deploy(streetLinks(shared), makeSilent)
    for (const home of [a, b]) {
      expect(home.sum('swarm_verified_bytes_total')).to.be.at.least(image.blobBytes)
      expect(home.sum('connections', { path: 'punched' })).to.equal(1)
      expect(home.sum('connections', { path: 'relayed' })).to.equal(0)
    }
    const byPeer = { kind: 'peer' }
    const [toA, toB] = [a, b].map((home) => home.sum('swarm_verified_bytes_total', byPeer))
    // The cache sends each chunk to one of them; the rest of two copies moves between homes.
    expect(toA! + toB!).to.be.at.least(image.blobBytes / 2)
    expect(a.sum('swarm_uploaded_bytes_total', byPeer)).to.be.at.least(toB!)
    expect(b.sum('swarm_uploaded_bytes_total', byPeer)).to.be.at.least(toA!)
    expect(helpers.coordinatorBytes).to.be.below(controlBytesMax)
    expect(helpers.cacheRelayedBytes).to.be.below(controlBytesMax)
  })

  it('run with what the cache gives them where no hole can be punched', async () => {
    const [c, d, helpers] = await deploy(streetLinks(alone), makeSymmetric)
    for (const home of [c, d]) {
      expect(home.sum('swarm_verified_bytes_total', { kind: 'peer' })).to.equal(0)
      expect(home.sum('swarm_verified_bytes_total', { kind: 'cache' })).to.be.at.least(
        image.blobBytes,
      )
      expect(home.sum('connections', { path: 'punched' })).to.equal(0)
      expect(home.sum('punches_total', { result: 'punched' })).to.equal(0)
      expect(home.sum('relayed_bytes_total', { role: 'end' })).to.be.below(controlBytesMax)
    }
    expect(helpers.coordinatorBytes).to.be.below(controlBytesMax)
    expect(helpers.cacheRelayedBytes).to.be.below(controlBytesMax)
  })

  /** A group of two, one replica a home; what both homes and their helpers tell once they run. */
  async function deploy(links: StreetLinks, makeRouter: (home: Home) => Promise<void>) {
    const { run, processes, street } = stage
    const { internet } = street
    const seed = await street.addHome({
      label: 'cache',
      shape: { upBitsPerS: links.seedUpBitsPerS },
    })
    const homes: Home[] = []
    for (const [at, shape] of links.homes.entries()) {
      const home = await street.addHome({ label: `home${at + 1}`, nat: true, shape })
      await makeRouter(home)
      homes.push(home)
    }
    const agent = (await reachInto(internet.namespace, { processes, run })).agent()
    try {
      const signal = AbortSignal.timeout(startMs + runningMs)
      const swarmStreet = { street, internet, seed, homes, congestionControl: '' }
      const tell = (): void => undefined
      const parts = { ...{ swarmStreet, links, run, processes, agent, signal }, ...{ image, tell } }
      const network = await startNetwork(parts)
      await pushAndIngest(network, parts)
      const before = await sentBytesOf(internet)
      await network.tenant.start('swarm')
      await Promise.all(network.nodes.map(({ child }) => untilRunning(child)))
      const coordinatorBytes = (await sentBytesOf(internet)) - before
      const [a, b] = await Promise.all(homes.map((home) => scrape(home, home.ipv4)))
      const cacheRelayedBytes = (await scrape(seed, '127.0.0.1', cacheMetricsPort)).sum(
        'relayed_bytes_total',
        { role: 'relay' },
      )
      await network.stop()
      return [a!, b!, { coordinatorBytes, cacheRelayedBytes }] as const
    } finally {
      await agent.destroy()
    }
  }
})

type Stage = Readonly<{ run: RunFolder; processes: Processes; street: Street }>

/** All that is no chunk, of a few minutes; bulk would be megabytes. */
const controlBytesMax = imageBytes / 10
const cacheMetricsPort = 9465

async function openStage(): Promise<Stage> {
  const run = await createRunFolder()
  return { run, processes: createProcesses({ run }), street: await createStreet({ run }) }
}

async function closeStage({ run, processes, street }: Stage): Promise<void> {
  await processes.stopAll()
  await street.dispose()
  // A process that was killed leaves the tmpfs of its one-time keys.
  await unmountUnder(run.path)
  await rm(run.path, { recursive: true, force: true })
  const left = await findLeftovers({ run, namespaces: street.namespaces.all() })
  expect(countLeftovers(left), JSON.stringify(left)).to.equal(0)
}

async function untilRunning(child: Child): Promise<void> {
  const isRunning = /"instance changed state".*"running"|"running".*"instance changed state"/
  await child.waitFor(({ text }) => isRunning.test(text) || undefined, { deadlineMs: runningMs })
}

type Sight = Readonly<{
  /** Over all samples of a metric with these labels. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number
}>

/** What a peer tells Prometheus, asked in its own namespace: behind NAT nobody else can. */
async function scrape({ namespace }: Host, host: string, port = metricsPort): Promise<Sight> {
  const text = await namespace.script(`exec "${process.execPath}" -e '
    fetch("http://${host}:${port}/metrics", { signal: AbortSignal.timeout(30_000) })
      .then((reply) => reply.text()).then((text) => process.stdout.write(text, () => process.exit()))'`)
  const metrics = parseExposition(text)
  return {
    sum(name, labels = {}) {
      const metric = metrics.get(`potluck_${name}`)
      if (!metric) throw new Error(`no metric ${name}`)
      return metric.samples
        .filter((it) => Object.entries(labels).every(([key, value]) => it.labels[key] === value))
        .reduce((sum, { value }) => sum + value, 0)
    },
  }
}

/** What has left a host's line, headers included. */
async function sentBytesOf({ namespace }: Host): Promise<number> {
  const table = await namespace.script('cat /proc/net/dev')
  return Number(/eth0:(?:\s*\d+){8}\s+(\d+)/.exec(table)?.[1])
}

function lastWords(processes: Processes): string {
  const linesOf = (child: Child): string[] =>
    child
      .lines()
      .slice(-30)
      .map(({ text }) => text)
  return processes
    .running()
    .map((child) => [child.name, ...linesOf(child)].join('\n'))
    .join('\n\n')
}
