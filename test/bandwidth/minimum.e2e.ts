/**
 * A tenant asks for homes with a fast line, and gets them, from the link test between node and cache
 * to the scheduler: nobody told these nodes how fast their lines are.
 */
import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { Agent } from 'undici'
import { unmountUnder } from '../../protocol/mounts/index.ts'
import type { DemoGroup } from '../../scripts/demo/tenant.ts'
import { pushImage } from '../../scripts/image/index.ts'
import {
  countLeftovers,
  createProcesses,
  createRunFolder,
  createStreet,
  findLeftovers,
  type Processes,
  type RunFolder,
  reachInto,
  ready,
  type Street,
} from '../../scripts/street/index.ts'
import { layOutStreet } from '../bench/swarm/homes.ts'
import { streetLinks } from '../bench/swarm/links.ts'
import { type SwarmNetwork, startNetwork } from '../bench/swarm/network.ts'
import { makeImage } from '../bench/swarm/transfer.ts'

/** One that is far too slow, and one that is fast enough also where it is measured on a busy machine. */
const links = streetLinks({ homes: 2, seedUpMbits: 100, upMbits: [1, 40], downMbits: 50 })
const minUploadMbps = 5
const startMs = 120_000
const settledMs = 90_000
const pollMs = 250

describe('a least line speed', function () {
  this.timeout(startMs + settledMs + 60_000)
  let run: RunFolder
  let processes: Processes
  let street: Street
  let agent: Agent
  let network: SwarmNetwork

  before(async () => {
    run = await createRunFolder()
    processes = createProcesses({ run })
    street = await createStreet({ run })
    const swarmStreet = await layOutStreet(links, { street })
    agent = (await reachInto(street.internet.namespace, { processes, run })).agent()
    const signal = AbortSignal.timeout(startMs + settledMs)
    const parts = { swarmStreet, links, run, processes, agent, signal }
    network = await startNetwork({ ...parts, unlimited: true })
  })
  after(async () => {
    await agent.destroy()
    await processes.stopAll()
    await street.dispose()
    // A process that was killed leaves the tmpfs of its one-time keys.
    await unmountUnder(run.path)
    await rm(run.path, { recursive: true, force: true })
    const left = await findLeftovers({ run, namespaces: street.namespaces.all() })
    expect(countLeftovers(left), JSON.stringify(left)).to.equal(0)
  })

  it('puts a group on the home whose line was measured to have it, and on no other', async () => {
    const { registry, tenant, nodes } = network
    const image = await makeImage(100_000)
    await pushImage(image, { registry: registry.url, repository: 'app', dispatcher: agent })
    await tenant.deploy({
      ...{ name: 'app', replicas: 2, autostart_policy: true, restart_policy: 'always' },
      container: {
        image: `${registry.address}/app@${image.digest}`,
        resources: { cpu: 1, memory: 1024 },
      },
      potluck: { min_upload_mbps: minUploadMbps },
    })
    const isSettled = async ({ current_state: { description } }: DemoGroup): Promise<boolean> => {
      const isRunning = (await tenant.instances('app')).some(({ state }) => state === 'running')
      return isRunning && /\b1 upload speed\b/.test(description ?? '')
    }
    const deadline = AbortSignal.timeout(settledMs)
    for (;;) {
      const group = await tenant.group('app')
      if (await isSettled(group)) break
      await sleep(pollMs, undefined, { signal: deadline }).catch((cause: unknown) => {
        throw new Error(`not settled: ${JSON.stringify(group)}`, { cause })
      })
    }
    const [, fast] = await Promise.all(nodes.map(({ child }) => ready(child, {})))
    const placed = (await tenant.instances('app')).filter(({ state }) => state === 'running')
    expect(placed.map(({ potluck }) => potluck.node)).to.deep.equal([fast?.peer])
  })
})
