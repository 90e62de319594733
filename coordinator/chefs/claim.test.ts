/** A node is claimed over real libp2p, as an operator and a chef do it. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import type { ClaimAnswer } from '../../protocol/control/index.ts'
import { identityFromSeed } from '../../protocol/identity/index.ts'
import { createLogger } from '../../protocol/log/index.ts'
import {
  createTestNetwork,
  eventually,
  startCoordinator,
  type TestCoordinator,
  type TestNetwork,
} from '../testing/coordinator.ts'
import { FakeCache } from '../testing/fake-cache.ts'
import { FakeNode } from '../testing/fake-node.ts'

describe('coordinator/chefs: claims over the mesh', () => {
  let net: TestNetwork
  let coordinator: TestCoordinator
  let log = ''
  const nodes: FakeNode[] = []
  const destination = new PassThrough().on('data', (data) => {
    log += data
  })
  const logger = createLogger({ name: 'test', level: 'trace', destination })

  before(async () => {
    net = await createTestNetwork()
    const countriesFile = join(net.dataDir, 'countries.csv')
    await writeFile(countriesFile, '127.0.0.0/8,nl\n127.0.0.1/32,de\n')
    coordinator = await startCoordinator(net, { logger, countriesFile })
    for (const name of ['alice', 'bob']) {
      expect((await coordinator.admin('POST', '/chefs', { name })).status).to.equal(201)
    }
  })
  after(async () => {
    for (const node of nodes) await node.crash()
    await coordinator.stop()
    await net.remove()
  })

  const start = async (): Promise<FakeNode> => {
    const node = new FakeNode({ network: net.network, addresses: coordinator.addresses })
    nodes.push(node)
    await node.start()
    await eventually('the node is up', () => node.link?.isUp)
    return node
  }
  const codeFor = async (chef: string): Promise<string> => {
    const { status, body } = await coordinator.admin('POST', `/chefs/${chef}/claims`, {})
    expect(status).to.equal(201)
    return body.code as string
  }
  const claim = async (node: FakeNode, code: string): Promise<ClaimAnswer> => {
    const answers = () => node.received.filter((message) => message.type === 'claim-answer')
    const before = answers().length
    node.link?.send({ type: 'claim', code })
    return await eventually('an answer', () => answers()[before])
  }
  const listed = async (node: FakeNode) => {
    const { body } = await coordinator.admin('GET', '/nodes')
    const items = body.items as readonly Readonly<Record<string, unknown>>[]
    return items.find((item) => item.node === node.peer)
  }

  it('binds, tells the node, shows it to the operator, and never logs the code', async () => {
    const node = await start()
    const code = await codeFor('alice')
    expect(await listed(node)).to.include({ chef: null, country: 'de', household: '127.0.0.1' })
    expect(await claim(node, code)).to.deep.equal({ type: 'claim-answer', chef: 'alice' })
    expect(await listed(node)).to.include({ chef: 'alice', connected: true })
    const { body } = await coordinator.admin('GET', '/chefs/alice')
    expect(body.nodes).to.deep.equal([node.peer])
    expect(log).to.contain('a node belongs to a chef').and.not.contain(code)
  })

  it('refuses clearly what is wrong, what was used, and another chef’s node', async () => {
    const [first, second] = [await start(), await start()]
    expect((await claim(first, 'WRONG')).refusal?.code).to.equal('CLAIM_CODE_INVALID')
    const code = await codeFor('alice')
    expect((await claim(first, code)).chef).to.equal('alice')
    expect((await claim(second, code)).refusal?.code).to.equal('CLAIM_CODE_INVALID')
    const other = await codeFor('bob')
    const refusal = (await claim(first, other)).refusal
    expect(refusal?.code).to.equal('NODE_CLAIMED')
    expect(refusal?.message).to.contain('let go of it first')
    const { status } = await coordinator.admin('DELETE', `/nodes/${first.peer}/chef`)
    expect(status).to.equal(204)
    expect((await claim(first, other)).chef).to.equal('bob')
    expect(log).not.to.contain(code).and.not.contain(other)
  })

  it('ends the stream of a cache that claims: only nodes have a chef', async () => {
    const seed = new Uint8Array(32).fill(7)
    const { peer } = await identityFromSeed(seed)
    const own = await createTestNetwork()
    const other = await startCoordinator(own, { caches: [peer] })
    const cache = new FakeCache({ network: own.network, addresses: other.addresses, seed })
    await cache.start()
    await eventually('the cache is up', () => cache.link?.isUp)
    cache.link?.send({ type: 'claim', code: 'WRONG' })
    await eventually('its stream ended', () => cache.link?.isUp === false)
    expect(cache.received.some(({ type }) => type === 'claim-answer')).to.equal(false)
    await cache.crash()
    await other.stop()
    await own.remove()
  })

  it('knows after a restart whose each node is, and tells it in the welcome', async () => {
    const node = await start()
    expect((await claim(node, await codeFor('alice'))).chef).to.equal('alice')
    const port = Number(/tcp\/(\d+)/.exec(coordinator.addresses[0] ?? '')?.[1])
    await coordinator.stop()
    coordinator = await startCoordinator(net, { port })
    expect(await listed(node)).to.include({ chef: 'alice' })
    await eventually('it is back', async () => (await listed(node))?.connected)
    await eventually('it is told', () => node.welcomedAs === 'alice')
    expect(await listed(node), 'no table this time').to.include({ country: null })
  })
})
