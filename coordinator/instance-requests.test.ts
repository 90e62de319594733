/** A tenant's requests about an instance, through API, loop and order to a node. */
import { expect } from 'chai'
import { identityFromSeed } from '../protocol/identity/index.ts'
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
import { FakeNode } from './testing/fake-node.ts'

type Shown = Readonly<{ id: string; state: string; machine_id: string; deletion_cost: number }>

describe('coordinator: requests about instances', () => {
  let net: TestNetwork
  let coordinator: TestCoordinator
  const peers: (FakeCache | FakeNode)[] = []
  const seed = new Uint8Array(32).fill(7)

  const node = async (): Promise<FakeNode> => {
    const fake = new FakeNode({ network: net.network, addresses: coordinator.addresses })
    await fake.start()
    peers.push(fake)
    await eventually('the node is up', () => fake.link?.isUp)
    return fake
  }
  const at = `${containersPath}/hello/instances`
  const instances = async () => {
    const { body } = await coordinator.request('GET', at)
    return body.instances as readonly Shown[]
  }
  const running = () =>
    eventually('it runs', async () => (await instances()).find(({ state }) => state === 'running'))
  const ask = async (id: string, what: string) => {
    const { status, body } = await coordinator.request('POST', `${at}/${id}/${what}`)
    expect(status, JSON.stringify(body)).to.equal(202)
  }

  beforeEach(async () => {
    net = await createTestNetwork()
    const { peer } = await identityFromSeed(seed)
    coordinator = await startCoordinator(net, { caches: [peer] })
    const cache = new FakeCache({ network: net.network, addresses: coordinator.addresses, seed })
    await cache.start()
    peers.push(cache)
  })
  afterEach(async () => {
    for (const peer of peers.splice(0)) await peer.crash()
    await coordinator.stop()
    await net.remove()
  })

  it('reallocates to another node, under a new instance id, and says so in the system log', async () => {
    const [a, b] = [await node(), await node()]
    await coordinator.request('POST', containersPath, groupBody())
    const before = await running()
    const [old, other] = a.holds.size > 0 ? [a, b] : [b, a]
    await ask(before.id, 'reallocate')
    await eventually('the other node has it', () => other.holds.size === 1)
    await eventually('the old one has stopped it', () => old.holds.size === 0)
    const after = await running()
    expect(after.id).not.to.equal(before.id)
    expect(after.machine_id).not.to.equal(before.machine_id)
    const { body } = await coordinator.request('GET', `${containersPath}/hello/system-logs`)
    const names = (body.items as { event_name: string }[]).map(({ event_name: name }) => name)
    expect(names).to.include.members([
      'Container Group Started',
      'Instance Allocated',
      'Instance Running',
      'Instance Reallocated by User',
    ])
  })

  it('recreates on the same node, under a new instance id and epoch', async () => {
    const [a, b] = [await node(), await node()]
    await coordinator.request('POST', containersPath, groupBody())
    const before = await running()
    const [same, other] = a.holds.size > 0 ? [a, b] : [b, a]
    await ask(before.id, 'recreate')
    const order = await eventually('a second order', () => same.taken[1])
    expect(order.epoch).to.equal(2)
    expect(order.instance).not.to.equal(before.id)
    const after = await eventually('the new one runs', async () =>
      (await instances()).find(({ id, state }) => id === order.instance && state === 'running'),
    )
    expect(after.machine_id).to.equal(before.machine_id)
    expect(other.taken).to.have.length(0)
    expect(await instances()).to.have.length(1)
  })

  it('restarts the same container, under the same instance id and a new epoch', async () => {
    const fake = await node()
    await coordinator.request('POST', containersPath, groupBody())
    const { id } = await running()
    await coordinator.request('PATCH', `${at}/${id}`, { deletion_cost: 7 })
    expect(fake.taken[0]?.restartNow).to.equal(undefined)
    await ask(id, 'restart')
    const order = await eventually('a second order', () => fake.taken[1])
    expect(order).to.include({ epoch: 2, instance: id, restartNow: true })
    await eventually('it runs on', async () => (await running()).id === id)
    expect(await instances()).to.have.length(1)
    expect((await instances())[0]?.deletion_cost).to.equal(7)
  })

  it('keeps a deletion cost', async () => {
    await node()
    await coordinator.request('POST', containersPath, groupBody())
    const { id } = await running()
    const set = await coordinator.request('PATCH', `${at}/${id}`, { deletion_cost: 7 })
    expect(set.body).to.include({ id, deletion_cost: 7 })
    expect((await instances())[0]?.deletion_cost).to.equal(7)
    const unset = await coordinator.request('PATCH', `${at}/${id}`, { deletion_cost: null })
    expect(unset.body).to.include({ deletion_cost: 0 })
  })

  it('counts what connected nodes have free', async () => {
    const path = '/organizations/default/availability/sce-cpu-availability'
    const free = async () => (await coordinator.request('POST', path, { cpu: 1 })).body
    expect(await free()).to.deep.equal({ available_cpu_batch: 0, on_call_cpu: 0 })
    await node()
    expect(await free()).to.deep.equal({ available_cpu_batch: 4, on_call_cpu: 4 })
    await coordinator.request('POST', containersPath, groupBody())
    await running()
    expect(await free()).to.deep.equal({ available_cpu_batch: 0, on_call_cpu: 4 })
  })
})
