/** The numbers of a coordinator, as Prometheus reads them from one that runs. */
import { expect } from 'chai'
import { parseExposition } from '../../protocol/metrics/exposition.fixture.ts'
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
import { createApiRequests } from './api-requests.ts'

describe('coordinator/metrics', () => {
  let net: TestNetwork
  let stop = async (): Promise<void> => undefined
  beforeEach(async () => {
    net = await createTestNetwork()
  })
  afterEach(async () => {
    await stop()
    await net.remove()
  })

  it('tells of nodes, slots, orders, renewals, requests and the audit log', async () => {
    const { identityFromSeed } = await import('../../protocol/identity/index.ts')
    const seed = new Uint8Array(32).fill(7)
    const { peer } = await identityFromSeed(seed)
    const coordinator = await startCoordinator(net, { caches: [peer], metrics: true })
    const at = { network: net.network, addresses: coordinator.addresses }
    const [cache, node] = [new FakeCache({ ...at, seed }), new FakeNode(at)]
    stop = async () => {
      await Promise.all([cache.crash(), node.crash()])
      await coordinator.stop()
    }
    await Promise.all([cache.start(), node.start()])
    await coordinator.request('POST', containersPath, groupBody())
    await coordinator.request('GET', '/no/such/path')
    await eventually('a renewed lease', () =>
      [...node.holds.values()].some(
        ({ allocation: { slot, leaseEndMs } }) => (node.leases.get(slot) ?? 0) > leaseEndMs,
      ),
    )
    await eventually('it runs', async () => {
      const { body } = await coordinator.request('GET', `${containersPath}/hello`)
      return (body.current_state as { status: string }).status === 'running'
    })

    const text = await (await fetch(coordinator.metrics ?? '')).text()
    const metrics = parseExposition(text)
    const read = (name: string, labels: Record<string, string> = {}): number | undefined =>
      metrics
        .get(`potluck_${name}`)
        ?.samples.find((it) =>
          Object.entries(labels).every(([key, value]) => it.labels[key] === value),
        )?.value
    expect(read('nodes', { state: 'connected' })).to.equal(1)
    expect(read('nodes', { state: 'banned' })).to.equal(0)
    expect(read('caches', { state: 'connected' })).to.equal(1)
    expect(read('slots', { state: 'running' })).to.equal(1)
    expect(read('slots', { state: 'failed' })).to.equal(0)
    expect(read('slots_wanted')).to.equal(1)
    expect(read('orders_total', { kind: 'allocation' })).to.equal(1)
    expect(read('renewals_total')).to.be.greaterThan(0)
    expect(read('reconciler_passes_total')).to.be.greaterThan(1)
    expect(read('reconciler_pass_seconds_total')).to.be.greaterThan(0)
    expect(read('settled')).to.equal(1)
    expect(read('audit_entries_total')).to.be.at.least(5)
    const route = `/api/public/organizations/:organization_name/projects/:project_name/containers`
    expect(read('api_requests_total', { route, method: 'POST', status: '201' })).to.equal(1)
    expect(read('api_requests_total', { route: 'none', status: '404' })).to.equal(1)
  })

  it('keeps no series for what a stranger makes up', () => {
    const requests = createApiRequests()
    for (let n = 0; n < 1_000; n++) {
      requests.add({ method: `MADE-UP-${n}`, route: undefined, status: 404, ms: 1 })
    }
    expect([...requests.all()]).to.deep.equal([
      { method: 'other', status: '404', route: 'none', count: 1_000 },
    ])
  })
})
