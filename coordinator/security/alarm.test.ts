/** Alarms through a whole coordinator: what a node says, and what its groups and others see of it. */
import { expect } from 'chai'
import type { SecurityEvidence } from '../../protocol/control/index.ts'
import { identityFromSeed } from '../../protocol/identity/index.ts'
import type { SlotId } from '../../protocol/ids.ts'
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

const id = '00000000-0000-4000-8000-0000000000aa'

describe('alarms at a coordinator', () => {
  let net: TestNetwork
  let coordinator: TestCoordinator
  let cache: FakeCache
  const nodes: FakeNode[] = []

  const node = async (): Promise<FakeNode> => {
    const fake = new FakeNode({ network: net.network, addresses: coordinator.addresses })
    await fake.start()
    nodes.push(fake)
    await eventually('the node is up', () => fake.link?.isUp)
    return fake
  }
  const deploy = async (): Promise<readonly [FakeNode, FakeNode, SlotId]> => {
    const [a, b] = [await node(), await node()]
    const { body } = await coordinator.request('POST', containersPath, groupBody())
    const holder = await eventually('it runs', () => [a, b].find(({ holds }) => holds.size > 0))
    return [holder, holder === a ? b : a, `${body.id}/0` as SlotId]
  }
  const alarm = (from: FakeNode, evidence: Partial<SecurityEvidence>): void => {
    from.link?.send({
      ...{ type: 'security-report', id, seenMs: 1 },
      evidence: {
        ...{ suspect: 'workload', sensor: 'falco', rule: 'a shell', text: 'bash' },
        ...evidence,
      },
    })
  }
  beforeEach(async () => {
    net = await createTestNetwork()
    const seed = new Uint8Array(32).fill(7)
    const { peer } = await identityFromSeed(seed)
    coordinator = await startCoordinator(net, { caches: [peer] })
    cache = new FakeCache({ network: net.network, addresses: coordinator.addresses, seed })
    await cache.start()
  })
  afterEach(async () => {
    for (const one of nodes.splice(0)) await one.crash()
    await cache.crash()
    await coordinator.stop()
    await net.remove()
  })

  it('bans a suspect host at once: its stream is cut, its slot moves, it does not come back', async () => {
    const [bad, spare, slot] = await deploy()
    alarm(bad, { suspect: 'host' })
    const order = await eventually('the slot moves', () => spare.taken[0])
    expect([order.slot, order.epoch]).to.deep.equal([slot, 2])
    await eventually('it is cut', () => bad.mesh.getConnections().length === 0)
    const told = spare.received.flatMap((message) =>
      message.type === 'lists' && message.banNews ? message.banNews.added : [],
    )
    expect(told).to.have.length(1)
    expect(told[0]).to.include({ peer: bad.peer, reason: 'security-alert' })
    // A welcome needs a connection that lasts.
    const { beatAnswers } = bad
    await eventually('it tries again', () => bad.link && !bad.link.isUp)
    expect(bad.beatAnswers).to.equal(beatAnswers)
  })

  it('holds the group of a suspect workload: what stopped is not started elsewhere', async () => {
    const [holder, spare, slot] = await deploy()
    alarm(holder, { slot })
    await eventually('the node knows that it is known', () =>
      holder.received.some((message) => message.type === 'security-taken' && message.id === id),
    )
    const fault = { code: 'SECURITY_ALERT', message: 'stopped by an alarm' }
    holder.setState(slot, { state: 'stopped', fault })
    const described = await eventually('the group is told to be held', async () => {
      const { body } = await coordinator.request('GET', `${containersPath}/hello`)
      const { description } = body.current_state as { description: string | null }
      return description?.includes('held for a security review')
    })
    expect(described).to.equal(true)
    expect([...spare.taken, ...holder.taken.slice(1)]).to.deep.equal([])
    // There is a place, and there are nodes: only the review keeps it free.
    await coordinator.request('PATCH', `${containersPath}/hello`, { replicas: 2 })
    // Other groups go on.
    const { body } = await coordinator.request('POST', containersPath, groupBody({ name: 'other' }))
    const order = await eventually(
      'another group is placed',
      () => spare.taken[0] ?? holder.taken[1],
    )
    expect(order.slot).to.equal(`${body.id}/0`)
    const all = [...spare.taken, ...holder.taken].map((taken) => taken.slot)
    expect(all.filter((taken) => taken.startsWith(slot.slice(0, -2)))).to.deep.equal([slot])
  })
})
