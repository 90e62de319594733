/** `potluck dev --engine simulated`: for people who write clients, without Docker and root. */
import { SaladCloudSdk } from '@saladtechnologies-oss/salad-cloud-sdk'
import { expect } from 'chai'
import { parseExposition } from '../../protocol/metrics/exposition.fixture.ts'
import { type Client, createClient } from './client.ts'
import { type Dev, peerOf, readyOf, runDev, startDev } from './dev-process.ts'
import { leftBehind, nothing, untilNoProcess } from './left-behind.ts'

describe('potluck dev with simulated engines', function () {
  this.timeout(120_000)
  let dev: Dev
  let client: Client

  before(async () => {
    dev = await startDev('--engine', 'simulated')
    client = createClient(dev.ready)
  })
  after(async () => {
    await dev.end('SIGTERM') // it has ended already, unless a test failed
    await untilNoProcess(dev.child.pid!, 40_000)
  })

  it('prints one line with all that a client needs', () => {
    const { ready, stdoutLines } = dev
    expect(stdoutLines).to.have.length(1)
    expect(ready).to.include({ organization: 'default', project: 'default', nodes: 3 })
    expect(ready.baseUrl).to.match(/^http:\/\/127\.0\.0\.1:\d+\/api\/public$/)
    expect(ready.apiKey).to.match(/^\S{20,}$/)
    expect(ready).to.not.have.property('registry')
    expect(Object.keys(ready.processes)).to.have.members([
      ...['coordinator', 'cache', 'node-1', 'node-2', 'node-3'],
    ])
  })

  it('runs any image within 5 s, and scales it', async () => {
    const startedMs = performance.now()
    await client.create('fetch', 'registry.example.com/acme/app:7', 1)
    await client.running('fetch', 1)
    expect(performance.now() - startedMs).to.be.below(5_000)
    await client.scale('fetch', 3)
    const instances = await client.running('fetch', 3)
    expect(new Set(instances.map((it) => it.machine_id)).size).to.equal(3)
    await client.remove('fetch')
    await client.until(async () => (await client.get('fetch').catch(() => 'gone')) === 'gone')
  })

  it('tells Prometheus what moved', async () => {
    const scrape = async (name: string) => {
      const answer = await fetch((await readyOf(dev, name)).metrics)
      const metrics = parseExposition(await answer.text())
      return (metric: string): number =>
        (metrics.get(`potluck_${metric}`)?.samples ?? []).reduce((sum, it) => sum + it.value, 0)
    }
    const nodes = ['node-1', 'node-2', 'node-3']
    await client.create('counted', 'registry.example.com/acme/counted:1', 3)
    await client.running('counted', 3)
    const cache = await scrape('cache')
    expect(cache('registry_read_bytes_total')).to.be.above(0)
    expect(cache('swarm_uploaded_bytes_total')).to.be.at.least(cache('registry_read_bytes_total'))
    for (const node of await Promise.all(nodes.map(scrape))) {
      expect(node('swarm_downloaded_bytes_total')).to.be.above(0)
      expect(node('swarm_duplicate_bytes_total')).to.equal(0)
      expect(node('swarm_verified_bytes_total')).to.be.at.least(cache('registry_read_bytes_total'))
      expect(node('phase_seconds_total')).to.be.above(0)
      expect(node('store_chunks')).to.be.above(0)
      expect(node('instances')).to.equal(1)
      expect(node('phases_total')).to.be.at.least(2)
      expect(node('coordinator_connected')).to.equal(1)
    }
    await client.remove('counted')
    await client.until(async () => (await client.get('counted').catch(() => 'gone')) === 'gone')
  })

  it("takes SaladCloud's own SDK, unmodified", async () => {
    const { baseUrl, apiKey, organization, project, image } = dev.ready
    const sdk = new SaladCloudSdk({ apiKey, baseUrl })
    const { containerGroups } = sdk
    await containerGroups.createContainerGroup(organization, project, {
      name: 'sdk',
      replicas: 2,
      autostartPolicy: true,
      restartPolicy: 'always',
      container: { image, resources: { cpu: 1, memory: 1024 } },
    } as Parameters<typeof containerGroups.createContainerGroup>[2])
    await client.until(async () => {
      const list = await containerGroups.listContainerGroupInstances(organization, project, 'sdk')
      return list.data?.instances.filter(({ state }) => state === 'running').length === 2
    })
    await containerGroups.deleteContainerGroup(organization, project, 'sdk')
  })

  it('replaces the instance of a node that was killed', async () => {
    await client.until(async () => (await client.get('sdk').catch(() => 'gone')) === 'gone')
    await client.create('moves', dev.ready.image, 2)
    const before = await client.running('moves', 2)
    const pids = Object.entries(dev.ready.processes).filter(([name]) => name.startsWith('node-'))
    const peers = new Map(
      await Promise.all(
        pids.map(async ([name, pid]) => {
          return [await peerOf(dev, name), pid] as const
        }),
      ),
    )
    const victim = before[0]!
    process.kill(peers.get(victim.potluck.node)!, 'SIGKILL')
    await client.until(async () => {
      const now = await client.running('moves', 2)
      return now.every((instance) => instance.potluck.node !== victim.potluck.node)
    })
    const after = await client.running('moves', 2)
    const moved = after.find(({ potluck }) => potluck.slot === victim.potluck.slot)!
    expect(moved.id).to.not.equal(victim.id)
    expect(moved.potluck.epoch).to.be.greaterThan(victim.potluck.epoch)
    expect(dev.story()).to.match(/node-\d ended with SIGKILL; the network goes on without it/)
  })

  it('leaves nothing at SIGTERM', async () => {
    expect(await dev.end('SIGTERM')).to.equal(0)
    expect(await leftBehind(dev.child.pid!)).to.deep.equal(nothing)
  })
})

describe('potluck dev when things go wrong', function () {
  this.timeout(120_000)
  const args = ['--engine', 'simulated', '--nodes', '1']

  it('ends everything, and says why, when the coordinator dies', async () => {
    const dev = await startDev(...args)
    process.kill(dev.ready.processes.coordinator!, 'SIGKILL')
    const [code] = await new Promise<[number | null]>((resolve) => {
      dev.child.once('close', (status) => resolve([status]))
    })
    expect(code).to.equal(1)
    expect(dev.story()).to.contain('potluck: coordinator ended with SIGKILL')
    expect(await leftBehind(dev.child.pid!)).to.deep.equal(nothing)
  })

  it('ends at once at a second signal', async () => {
    const dev = await startDev(...args)
    for (const pid of Object.values(dev.ready.processes)) process.kill(pid, 'SIGSTOP') // they hang
    const ended = dev.end('SIGINT')
    await new Promise((resolve) => setTimeout(resolve, 700)) // sooner it would be the same wish
    const startedMs = performance.now()
    dev.child.kill('SIGINT')
    await ended
    expect(performance.now() - startedMs).to.be.below(10_000)
    expect(await leftBehind(dev.child.pid!)).to.deep.equal(nothing)
  })

  it('takes its processes with it when it is killed, and the next run its files', async () => {
    const dev = await startDev(...args)
    await dev.end('SIGKILL')
    await untilNoProcess(dev.child.pid!, 40_000)
    expect((await leftBehind(dev.child.pid!)).files).to.have.length(1)
    const next = await startDev(...args)
    expect(next.story()).to.contain('removing what potluck-dev-')
    expect(await leftBehind(dev.child.pid!)).to.deep.equal(nothing)
    await next.end('SIGTERM')
    expect(await leftBehind(next.child.pid!)).to.deep.equal(nothing)
  })

  it('says in one line what is wrong with the command', async () => {
    const { code, story } = await runDev('--nodes', '0')
    expect(code).to.equal(2)
    expect(story).to.match(/^potluck: --nodes 0 is not valid; give a whole number from 1 to 50\n$/)
  })
})
