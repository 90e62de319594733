import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { Compile } from 'typebox/compile'
import type { PeerId, SlotId } from '../protocol/ids.ts'
import { ExplanationSchema } from './api/schemas/explain.ts'
import {
  containersPath,
  createTestNetwork,
  eventually,
  groupBody,
  startCoordinator,
  type TestCoordinator,
  type TestNetwork,
} from './testing/coordinator.ts'
import { FakeCache } from './testing/fake-cache.ts'
import { fakeImage } from './testing/fake-image.ts'
import { FakeNode } from './testing/fake-node.ts'

const answer = Compile(ExplanationSchema)

describe('coordinator', () => {
  let net: TestNetwork
  const cleanups: (() => Promise<unknown>)[] = []
  let coordinator: TestCoordinator
  let cache: FakeCache
  const cacheSeed = new Uint8Array(32).fill(7)

  const restart = async (): Promise<void> => {
    const port = Number(/tcp\/(\d+)/.exec(coordinator.addresses[0] ?? '')?.[1])
    await coordinator.stop()
    coordinator = await startCoordinator(net, { caches: [cache.peer], port })
  }
  const node = async (seed?: number): Promise<FakeNode> => {
    const fake = new FakeNode({
      network: net.network,
      addresses: coordinator.addresses,
      ...(seed === undefined ? {} : { seed: new Uint8Array(32).fill(seed) }),
    })
    await fake.start()
    cleanups.push(() => fake.crash())
    await eventually('the node is up', () => fake.link?.isUp)
    return fake
  }
  const deploy = async (changes: Record<string, unknown> = {}): Promise<string> => {
    const { status, body } = await coordinator.request('POST', containersPath, groupBody(changes))
    expect(status, JSON.stringify(body)).to.equal(201)
    return body.id as string
  }
  const instances = async (name = 'hello') => {
    const { body } = await coordinator.request('GET', `${containersPath}/${name}/instances`)
    return body.instances as { id: string; state: string; machine_id: string }[]
  }
  const running = (count: number, name = 'hello') =>
    eventually(`${count} running`, async () => {
      const all = await instances(name)
      const ids = all.filter(({ state }) => state === 'running')
      return ids.length === count && ids
    })

  beforeEach(async () => {
    net = await createTestNetwork()
    const { identityFromSeed } = await import('../protocol/identity/index.ts')
    const { peer } = await identityFromSeed(cacheSeed)
    coordinator = await startCoordinator(net, { caches: [peer] })
    cache = new FakeCache({
      network: net.network,
      addresses: coordinator.addresses,
      seed: cacheSeed,
    })
    await cache.start()
  })
  afterEach(async () => {
    for (const clean of cleanups.splice(0)) await clean()
    await cache.crash()
    await coordinator.stop()
    await net.remove()
  })

  it('explains where a replica is, and why another waits', async () => {
    await node()
    await deploy()
    await running(1)
    await coordinator.request('PATCH', `${containersPath}/hello`, { replicas: 2 })
    const explained = await eventually('a replica waits', async () => {
      const { body } = await coordinator.request('GET', `${containersPath}/hello/explain`)
      return body.waiting_seconds !== null && body
    })
    expect(answer.Errors(explained)).to.deep.equal([])
    expect(explained).to.deep.include({
      ...{ replicas: 2, nodes_considered: 1, nodes_fitting: 0, best: [] },
      removed: [{ reason: 'runs this group already', nodes: 1 }],
    })
    expect(explained.placed).to.have.length(1)
    const { status } = await coordinator.request('GET', `${containersPath}/nobody/explain`)
    expect(status).to.equal(404)
  })

  it('deploys: resolve, ingest, order, running', async () => {
    const fake = await node()
    await deploy({
      container: {
        image: 'registry.example/acme/hello:1',
        resources: { cpu: 1, memory: 1_024, storage_amount: 2 ** 30 },
        environment_variables: { GREETING: 'good evening' },
        command: ['serve', '--loud'],
      },
    })
    await running(1)
    expect(cache.resolves).to.deep.equal(['registry.example/acme/hello:1'])
    expect(cache.ingests).to.have.length(1)
    const [held] = [...fake.holds.values()]
    expect(held?.secrets?.env).to.deep.equal({ GREETING: 'good evening' })
    expect(held?.secrets?.command).to.deep.equal(['serve', '--loud'])
    expect(held?.allocation.epoch).to.equal(1)
    expect(held?.allocation.hints.map(({ peer }) => peer)).to.deep.equal([cache.peer])
  })

  it('moves the slot of a node that dies, under a higher epoch, after its lease', async () => {
    const [a, b] = [await node(), await node()]
    const id = await deploy()
    await running(1)
    const slot = `${id}/0` as SlotId
    const [dying, spare] = a.holds.size > 0 ? [a, b] : [b, a]
    const leaseEndMs = await eventually('a renewed lease', () => dying.leases.get(slot))
    await dying.crash()
    const order = await eventually('the replacement', () => spare.taken[0])
    expect(order.slot).to.equal(slot)
    expect(order.epoch).to.equal(2)
    expect(order.issuedMs).to.be.greaterThan(leaseEndMs + 200)
    await running(1)
  })

  it('moves it at once on a goodbye', async () => {
    const [a, b] = [await node(), await node()]
    const id = await deploy()
    await running(1)
    const [leaving, spare] = a.holds.size > 0 ? [a, b] : [b, a]
    const startedMs = performance.now()
    await leaving.goodbye()
    const order = await eventually('the replacement', () => spare.taken[0])
    expect(order.epoch).to.equal(2)
    expect(order.slot).to.equal(`${id}/0`)
    expect(performance.now() - startedMs).to.be.lessThan(900)
  })

  it('gives a node that said goodbye nothing more, and keeps its stream until it leaves', async () => {
    const [a, b] = [await node(), await node()]
    for (const fake of [a, b]) fake.lends = { ...fake.lends, allocationsMax: 4 }
    const id = await deploy()
    await running(1)
    const [leaving, spare] = a.holds.size > 0 ? [a, b] : [b, a]
    leaving.link?.send({
      type: 'goodbye',
      reason: 'the chef is back',
      slots: [`${id}/0` as SlotId],
    })
    await eventually('the replacement', () => spare.taken.length === 1)
    await eventually('it is told to stop', () => leaving.holds.size === 0)
    await deploy({ name: 'second' })
    await running(1, 'second')
    const before = leaving.beatAnswers
    await eventually('its beats are answered', () => leaving.beatAnswers > before + 3)
    expect(leaving.link?.isUp).to.equal(true)
    expect(leaving.hellos).to.equal(1)
    expect([leaving.taken.length, spare.taken.length]).to.deep.equal([1, 2])
  })

  it('asks a node that refuses because it stops nothing more until it is back', async () => {
    const fake = await node(9)
    fake.refuseWith = 'NODE_STOPPING'
    await deploy()
    await eventually('it was asked', () => fake.received.some(({ type }) => type === 'order'))
    await new Promise((resolve) => setTimeout(resolve, 3_500)) // more than the shortest back-off
    expect(fake.received.filter(({ type }) => type === 'order')).to.have.length(1)
    await fake.crash()
    fake.refuseWith = undefined
    await fake.start()
    await running(1)
  })

  it('restarts without replacing anything, and goes on renewing', async () => {
    const nodes = [await node(1), await node(2), await node(3)]
    await deploy({ replicas: 3 })
    const before = await running(3)
    await restart()
    await eventually('nodes are back', () => nodes.every(({ link }) => link?.isUp))
    const after = await running(3)
    expect(after.map(({ id }) => id).sort()).to.deep.equal(before.map(({ id }) => id).sort())
    await new Promise((resolve) => setTimeout(resolve, 2_500)) // two leases and more
    expect(nodes.map(({ taken }) => taken.length)).to.deep.equal([1, 1, 1])
    expect(cache.ingests).to.have.length(1)
  })

  it('tells nodes that fetch the same image of each other', async () => {
    const [a, b] = [await node(), await node()]
    for (const fake of [a, b]) fake.behaviour = 'downloading'
    await deploy({ replicas: 2 })
    const knows = (fake: FakeNode, other: FakeNode): boolean =>
      fake.taken.some(({ hints }) => hints.some(({ peer }) => peer === other.peer)) ||
      fake.received.some(
        (message) =>
          message.type === 'holders' && message.hints.some(({ peer }) => peer === other.peer),
      )
    await eventually('each knows the other', () => knows(a, b) && knows(b, a))
  })

  it('asks a cache that died in the middle of an ingest again, and forgets the password', async () => {
    cache.resolve = (reference) => fakeImage(reference, false)
    const stuck = Promise.withResolvers<void>()
    cache.beforeIngested = () => stuck.promise
    const fake = await node()
    await deploy({
      container: {
        image: 'registry.example/acme/hello:1',
        resources: { cpu: 1, memory: 1_024, storage_amount: 2 ** 30 },
        registry_authentication: { basic: { username: 'acme', password: 'canary-hunter2' } },
        environment_variables: { TOKEN: 'canary-env' },
      },
    })
    await eventually('the ingest has begun', () => cache.ingests.length === 1)
    await cache.crash()
    cache.beforeIngested = async () => {}
    await cache.start()
    await running(1)
    expect(cache.ingests).to.have.length(2)
    expect(cache.resolves).to.have.length(1)
    expect(cache.credentials.filter((text) => text.includes('canary-hunter2'))).to.have.length(3)
    expect([...fake.holds.values()][0]?.secrets?.env).to.deep.equal({ TOKEN: 'canary-env' })
    await coordinator.stop()
    for (const name of await readdir(net.dataDir, { recursive: true })) {
      const bytes = await readFile(join(net.dataDir, name)).catch(() => Buffer.alloc(0))
      expect(bytes.includes('canary'), name).to.equal(false)
    }
    coordinator = await startCoordinator(net)
  })

  it('orders anew elsewhere what a node refuses, and after a failure', async () => {
    const [a, b] = [await node(), await node()]
    a.refuseWith = 'NO_SPACE'
    b.behaviour = 'failed'
    const id = await deploy()
    const slot = `${id}/0` as SlotId
    await eventually('both were tried', () => b.taken.length > 0, 15_000)
    b.behaviour = 'running'
    a.refuseWith = undefined
    await running(1)
    const newest = Math.max(...[a, b].flatMap(({ taken }) => taken.map(({ epoch }) => epoch)))
    expect(newest).to.be.greaterThan(1)
    const holder = [a, b].find(({ holds }) => holds.get(slot)?.allocation.epoch === newest)
    expect(holder).to.not.equal(undefined)
  })

  it('gives a group its least line speed, by a cache’s word and never above the node’s own', async () => {
    const link = (mbps: number) => ({
      ...{ upBitsPerS: mbps * 1e6, downBitsPerS: 10 * mbps * 1e6, measuredMs: 7 },
    })
    const [slow, boaster] = [await node(), await node()]
    slow.lends = { ...slow.lends, link: link(10) }
    boaster.lends = { ...boaster.lends, link: link(1_000) }
    await deploy({ potluck: { min_upload_mbps: 20, min_download_mbps: 200 } })
    const said = async (words: string) => {
      const { body } = await coordinator.request('GET', `${containersPath}/hello`)
      const { description } = body.current_state as { description: string | null }
      return description?.includes(words) ?? false
    }
    await eventually('nobody is measured', () => said('2 link not measured'))
    const measured = (peer: PeerId, mbps: number) =>
      cache.link?.send({ type: 'link-tests', results: [{ peer, link: link(mbps) }] })
    measured(slow.peer, 900)
    measured(boaster.peer, 15)
    await eventually('nobody is fast enough', () => said('2 upload speed'))
    boaster.link?.send({
      ...{ type: 'link-tests', results: [{ peer: boaster.peer, link: link(900) }] },
    })
    await eventually('a node says nothing for a cache', () => boaster.link?.isUp === false)
    expect(boaster.taken).to.deep.equal([])
    await eventually('it is back', () => boaster.link?.isUp)
    measured(boaster.peer, 40)
    await running(1)
    expect(boaster.taken).to.have.length(1)
    expect(slow.taken).to.deep.equal([])
  })

  it('goes on with a node whose daemon restarts within its lease', async () => {
    const fake = await node(9)
    await deploy()
    const before = await running(1)
    await fake.crash()
    await fake.start()
    await eventually('it is back', () => fake.link?.isUp)
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    expect(await running(1)).to.deep.equal(before)
    expect(fake.taken).to.have.length(1)
  })

  it('stops what is no longer wanted, and forgets a deleted group', async () => {
    const fakes = [await node(), await node()]
    await deploy({ replicas: 2 })
    await running(2)
    await coordinator.request('PATCH', `${containersPath}/hello`, { replicas: 1 })
    await eventually('one is left', () => fakes.filter(({ holds }) => holds.size > 0).length === 1)
    const { status } = await coordinator.request('DELETE', `${containersPath}/hello`)
    expect(status).to.equal(202)
    await eventually('none is left', () => fakes.every(({ holds }) => holds.size === 0))
  })
})
