/** Prices, usage and invoices as a tenant sees them. */
import { expect } from 'chai'
import type { GroupId } from '../../protocol/ids.ts'
import { createMemoryStore } from '../../protocol/store/index.ts'
import { createLedger } from '../ledger/index.ts'
import { fenceOf, slotOf, termsOf } from '../ledger/ledger.fixture.ts'
import type { BillingTerms } from '../ledger/terms.ts'
import { expectProblem, startApi, type TestApi } from './api.fixture.ts'

const rtx4090 = 'ed563892-aacd-40f5-80b7-90c9be6c759b'

describe('coordinator/api: billing', () => {
  const store = createMemoryStore()
  let api: TestApi
  const accrued: { terms: BillingTerms; seconds: number; micros: bigint; hourMs: number }[] = []

  before(async () => {
    api = await startApi({ store, accrued: () => accrued })
    const organization = api.tenants.organizations().find(({ name }) => name === 'acme')
    const organizationId = organization?.id ?? ''
    const ledger = createLedger({ heldDays: 7 }, { store, nowMs: () => Date.UTC(2026, 1, 15) })
    const web = termsOf({ organizationId, microsPerHour: 3_600_000, gpuClass: rtx4090 })
    const shop = termsOf({
      ...{ organizationId, project: 'shop', groupName: 'till', microsPerHour: 7_200_000 },
      group: '00000000-0000-4000-8000-000000000002' as GroupId,
    })
    const about = { fence: fenceOf(1), fromSecond: 0, slot: slotOf(0) }
    await ledger.charge([
      { ...about, terms: web, toSecond: 100, hourMs: Date.UTC(2026, 0, 31, 23) },
      { ...about, terms: web, fromSecond: 100, toSecond: 130, hourMs: Date.UTC(2026, 1, 1) },
      { ...about, terms: shop, toSecond: 10, hourMs: Date.UTC(2026, 1, 14) },
    ])
    accrued.push({ terms: web, seconds: 5, micros: 5_000n, hourMs: Date.UTC(2026, 1, 15) })
  })
  after(() => api.app.close())

  it('lists what a GPU costs by priority, in units an hour', async () => {
    const { items } = (await api.call('GET', '/organizations/acme/gpu-classes')).json()
    const { prices } = items.find(({ id }: { id: string }) => id === rtx4090)
    expect(prices).to.deep.equal([
      { priority: 'high', price: '0.24' },
      { priority: 'medium', price: '0.192' },
      { priority: 'low', price: '0.144' },
      { priority: 'batch', price: '0.12' },
    ])
  })

  it('tells what a month used, what runs now included', async () => {
    const now = (await api.call('GET', '/organizations/acme/usage')).json()
    expect(now).to.deep.equal({
      ...{ month: '2026-02', seconds: '45', micro_units: '55000' },
      items: [
        {
          ...{ project_name: 'shop', container_group_name: 'till', gpu_class_id: null },
          container_group_id: '00000000-0000-4000-8000-000000000002',
          ...{ seconds: '10', micro_units: '20000' },
        },
        {
          ...{ project_name: 'web', container_group_name: 'hello', gpu_class_id: rtx4090 },
          container_group_id: '00000000-0000-4000-8000-000000000001',
          ...{ seconds: '35', micro_units: '35000' },
        },
      ],
    })
    const past = (await api.call('GET', '/organizations/acme/usage?month=2026-01')).json()
    expect(past).to.include({ month: '2026-01', seconds: '100', micro_units: '100000' })
  })

  it('makes an invoice a month, open while the month goes on', async () => {
    const { items } = (await api.call('GET', '/organizations/acme/invoices')).json()
    expect(items).to.deep.equal([
      {
        ...{ month: '2026-02', status: 'open', seconds: '45', micro_units: '55000' },
        projects: [
          { project_name: 'web', seconds: '35', micro_units: '35000' },
          { project_name: 'shop', seconds: '10', micro_units: '20000' },
        ],
      },
      {
        ...{ month: '2026-01', status: 'final', seconds: '100', micro_units: '100000' },
        projects: [{ project_name: 'web', seconds: '100', micro_units: '100000' }],
      },
    ])
  })

  it("refuses what is no month, and tells nothing of another's bill", async () => {
    const problem = await api.call('GET', '/organizations/acme/usage?month=2026-13')
    expect(expectProblem(problem, 400, 'REQUEST_INVALID').errors).to.have.property('month')
    for (const path of ['usage', 'invoices']) {
      const foreign = await api.call('GET', `/organizations/globex/${path}`)
      expectProblem(foreign, 404, 'ORGANIZATION_NOT_FOUND')
      const keyless = await api.app.inject(`/api/public/organizations/acme/${path}`)
      expectProblem(keyless, 401, 'UNAUTHORIZED')
    }
  })
})
