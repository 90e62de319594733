/** A whole coordinator's log: what it ordered, whom it let in, and that all of it can be checked. */
import { join } from 'node:path'
import { expect } from 'chai'
import { createLevelStore } from '../../protocol/store/index.ts'
import { orderHash } from '../orders/index.ts'
import {
  containersPath,
  createTestNetwork,
  eventually,
  groupBody,
  startCoordinator,
  type TestNetwork,
} from '../testing/coordinator.ts'
import { FakeCache } from '../testing/fake-cache.ts'
import { FakeNode } from '../testing/fake-node.ts'
import { type AuditEntry, auditEntryCodec, auditSourceOf, verifyAudit } from './index.ts'

describe('coordinator/audit: recorded', () => {
  let net: TestNetwork
  let stop = async (): Promise<void> => undefined
  beforeEach(async () => {
    net = await createTestNetwork()
  })
  afterEach(async () => {
    await stop()
    await net.remove()
  })

  const read = async () => {
    const store = await createLevelStore({ path: join(net.dataDir, 'store') })
    const source = await auditSourceOf(store)
    const entries: AuditEntry[] = []
    for await (const bytes of source.entries) entries.push(auditEntryCodec.decode(bytes))
    const verdict = await verifyAudit(await auditSourceOf(store), net.network)
    await store.close()
    return { entries, verdict, kinds: entries.map(({ kind }) => kind) }
  }

  it('tells of its start, of tenants and their keys', async () => {
    await (await startCoordinator(net)).stop()
    const first = await read()
    expect(first.kinds).to.deep.equal([
      ...['start', 'organization-made', 'project-made', 'key-made', 'key-made'],
    ])
    await (await startCoordinator(net)).stop()
    const second = await read()
    expect(second.kinds.slice(5)).to.deep.equal(['start'])
    expect(second.verdict).to.deep.equal({ ok: true, entries: 6, newest: 6, lost: 0 })
  })

  it('tells of every order, by the hash of what was signed', async () => {
    const { identityFromSeed } = await import('../../protocol/identity/index.ts')
    const seed = new Uint8Array(32).fill(7)
    const { peer } = await identityFromSeed(seed)
    const coordinator = await startCoordinator(net, { caches: [peer] })
    const at = { network: net.network, addresses: coordinator.addresses }
    const cache = new FakeCache({ ...at, seed })
    const node = new FakeNode({ ...at })
    stop = async () => {
      await Promise.all([cache.crash(), node.crash()])
      await coordinator.stop()
    }
    await Promise.all([cache.start(), node.start()])
    await coordinator.request('POST', containersPath, groupBody())
    const [slot, held] = await eventually('the order', () => [...node.holds][0])
    const order = orderHash(held.order)
    await coordinator.request('DELETE', `${containersPath}/hello`)
    await eventually('the revocation', () => node.holds.size === 0)
    await stop()
    const { entries, verdict } = await read()
    const orders = entries.filter(({ kind }) => kind === 'allocation' || kind === 'revocation')
    expect(
      orders.map(({ kind, facts }) => [kind, facts.slot, facts.node, facts.epoch]),
    ).to.deep.equal([
      ['allocation', slot, node.peer, 1],
      ['revocation', slot, node.peer, 1],
    ])
    expect(orders[0]?.facts.order).to.equal(order)
    expect(verdict).to.include({ ok: true })
  })
})
