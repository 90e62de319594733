/** A whole coordinator charges: from running on, over its own restart, until the group is gone. */
import { join } from 'node:path'
import { expect } from 'chai'
import type { PeerId } from '../../protocol/ids.ts'
import { createLevelStore } from '../../protocol/store/index.ts'
import {
  containersPath,
  createTestNetwork,
  eventually,
  groupBody,
  startCoordinator,
  type TestCoordinator,
  type TestNetwork,
} from '../testing/coordinator.ts'
import { FakeCache } from '../testing/fake-cache.ts'
import { FakeNode } from '../testing/fake-node.ts'
import { createLedger } from './index.ts'
import { chargedFor } from './terms.ts'

describe('coordinator/ledger: charged', () => {
  let net: TestNetwork
  let caches: PeerId[]
  let coordinator: TestCoordinator
  const cleanups: (() => Promise<unknown>)[] = []
  const seed = new Uint8Array(32).fill(7)

  beforeEach(async () => {
    net = await createTestNetwork()
    const { identityFromSeed } = await import('../../protocol/identity/index.ts')
    caches = [(await identityFromSeed(seed)).peer]
    coordinator = await startCoordinator(net, { caches })
  })
  afterEach(async () => {
    for (const clean of cleanups.splice(0)) await clean()
    await coordinator.stop()
    await net.remove()
  })
  const usedSeconds = async (): Promise<number> => {
    const { body } = await coordinator.request('GET', '/organizations/default/usage')
    return Number(body.seconds)
  }
  const deploy = async (behaviour: FakeNode['behaviour']): Promise<FakeNode> => {
    const at = { network: net.network, addresses: coordinator.addresses }
    const [cache, node] = [new FakeCache({ ...at, seed }), new FakeNode(at)]
    node.behaviour = behaviour
    cleanups.push(
      () => cache.crash(),
      () => node.crash(),
    )
    await Promise.all([cache.start(), node.start()])
    await coordinator.request('POST', containersPath, groupBody())
    await eventually('the order', () => node.holds.size > 0)
    return node
  }
  const beats = async (node: FakeNode, count: number): Promise<void> => {
    const until = node.beatAnswers + count
    await eventually(`${count} beats`, () => node.beatAnswers >= until)
  }

  it('charges from running on, and no second while it downloads or restarts', async () => {
    const node = await deploy('downloading')
    await beats(node, 8)
    expect(await usedSeconds()).to.equal(0)
    const [slot] = [...node.holds.keys()]
    node.setState(slot!, { state: 'running' })
    await eventually('a second', async () => (await usedSeconds()) >= 1)
    node.setState(slot!, { state: 'restarting' })
    await beats(node, 2)
    const before = await usedSeconds()
    await beats(node, 8)
    expect(await usedSeconds()).to.equal(before)
  })

  it('goes on after a restart, and books all when the group is gone', async () => {
    const node = await deploy('running')
    await eventually('a second', async () => (await usedSeconds()) >= 1)
    const port = Number(/tcp\/(\d+)/.exec(coordinator.addresses[0] ?? '')?.[1])
    await coordinator.stop()
    coordinator = await startCoordinator(net, { caches, port })
    expect(await usedSeconds()).to.be.at.least(1)
    await eventually('more', async () => (await usedSeconds()) >= 2)
    await coordinator.request('DELETE', `${containersPath}/hello`)
    await eventually('it is gone', () => node.holds.size === 0)
    const seconds = await usedSeconds()
    await coordinator.stop()

    const store = await createLevelStore({ path: join(net.dataDir, 'store') })
    const ledger = createLedger({ heldDays: 7 }, { store, nowMs: Date.now })
    const balances = new Map<string, bigint>()
    for await (const [account, micros] of ledger.balances()) balances.set(account, micros)
    expect([...balances.values()].reduce((sum, micros) => sum + micros, 0n)).to.equal(0n)
    // A core at 4,000 and a GiB at 1,000 an hour.
    const owed = chargedFor({ microsPerHour: 5_000 }, seconds)
    const [organization] = [...balances].filter(([account]) => account.startsWith('organization:'))
    expect(organization?.[1]).to.equal(-owed)
    expect(balances.get('held:unclaimed')).to.equal((owed * 70n) / 100n)
    await store.close()
    coordinator = await startCoordinator(net, { caches, port })
    expect(await usedSeconds()).to.equal(seconds)
  })
})
