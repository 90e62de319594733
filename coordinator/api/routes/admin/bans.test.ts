import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { expect } from 'chai'
import type { FastifyInstance } from 'fastify'
import { identityFromSeed } from '../../../../protocol/identity/index.ts'
import type { GroupId, SlotId } from '../../../../protocol/ids.ts'
import { silentLogger } from '../../../../protocol/log/index.ts'
import { banBench } from '../../../bans/ban-book.fixture.ts'
import { noAudit } from '../../../bans/index.ts'
import { openSecurityReview, type SecurityReview } from '../../../security/index.ts'
import { expectProblem } from '../../api.fixture.ts'
import { createServer } from '../../create-api.ts'
import { defaultApiSettings } from '../../settings.ts'
import { banRoutes } from './bans.ts'
import { securityRoutes } from './security.ts'

const { peer } = await identityFromSeed(new Uint8Array(32).fill(9))
const group = '00000000-0000-4000-8000-00000000000a' as GroupId

describe('coordinator/api: admin bans and holds', () => {
  let bench: Awaited<ReturnType<typeof banBench>>
  let app: FastifyInstance
  let security: SecurityReview
  beforeEach(async () => {
    bench = await banBench()
    const bans = await bench.open()
    security = await openSecurityReview({
      ...{ store: bench.store, bans, runsOn: () => true, audit: noAudit, logger: silentLogger },
      ...{ clockMs: () => bench.clock.nowMs(), nowMs: () => bench.clock.nowMs() },
    })
    app = createServer(defaultApiSettings, silentLogger)
    const typed = app.withTypeProvider<TypeBoxTypeProvider>()
    const suspect = { peer, weight: 2, needed: 4, accusers: 2, verdict: 'suspect' } as const
    banRoutes(typed as never, { bans, reputation: { suspects: () => [suspect] } })
    securityRoutes(typed as never, {
      security,
      nameOf: (id) => (id === group ? 'acme/web/x' : undefined),
    })
    await app.ready()
  })
  afterEach(async () => {
    await app.close()
    await bench.close()
  })
  const call = (method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object) =>
    app.inject({ method, url, ...(payload ? { payload } : {}) })

  it('bans, shows, takes an appeal, lifts and remembers', async () => {
    const made = await call('POST', '/bans', {
      ...{ peer, reason: 'forged-capacity', note: 'no such GPU', evidence: 'a photograph' },
      expires_in_s: 60,
    })
    expect(made.statusCode, made.body).to.equal(201)
    expect(made.json()).to.deep.include({
      ...{ peer, reason: 'forged-capacity', source: 'operator', in_force: true, times: 1 },
      ...{ since: '1970-01-01T00:00:01.000Z', expires: '1970-01-01T00:01:01.000Z' },
    })
    expect((await call('GET', '/bans')).json().items).to.deep.equal([made.json()])
    const appeal = await call('POST', `/bans/${peer}/appeal`, { note: 'it is in the other PC' })
    expect(appeal.json().appeal.note).to.equal('it is in the other PC')
    const lifted = (await call('DELETE', `/bans/${peer}?note=true`)).json()
    expect(lifted).to.deep.include({ in_force: false, shielded_until: '1970-01-08T00:00:01.000Z' })
    expect((await call('GET', '/bans')).json().items).to.deep.equal([])
    expect((await call('GET', '/bans?all=true')).json().items).to.deep.equal([lifted])
    expect((await call('GET', '/suspects')).json().items[0]).to.deep.equal({
      peer,
      weight: 2,
      needed: 4,
      accusers: 2,
    })
    expect((await call('GET', `/bans/${peer}`)).json().evidence[0].text).to.equal('a photograph')
  })

  it('says what is wrong with a request', async () => {
    expectProblem(await call('POST', '/bans', { peer: 'nobody' }), 400, 'REQUEST_INVALID')
    expectProblem(await call('POST', '/bans', { peer, until: 'noon' }), 400, 'REQUEST_INVALID')
    expectProblem(await call('GET', '/bans?limit=0'), 400, 'REQUEST_INVALID')
    expectProblem(await call('GET', `/bans/${peer}`), 404, 'BAN_NOT_FOUND')
    expectProblem(await call('DELETE', `/bans/${peer}`), 404, 'BAN_NOT_FOUND')
    expectProblem(await call('POST', `/holds/${group}/release`, {}), 404, 'HOLD_NOT_FOUND')
  })

  it('shows alarms and held groups, and releases one', async () => {
    await security.take(
      { peer, household: '192.0.2.1' },
      {
        ...{ type: 'security-report', id: group, seenMs: 1 },
        evidence: {
          ...{ suspect: 'workload', slot: `${group}/0` as SlotId, sensor: 'falco' },
          ...{ rule: 'a shell', text: 'bash' },
        },
      },
    )
    const [hold] = (await call('GET', '/holds')).json().items
    expect(hold).to.deep.include({ group, name: 'acme/web/x', reports: [group] })
    const release = { note: 'a test', false_alarm: true }
    expect((await call('POST', `/holds/${group}/release`, release)).statusCode).to.equal(204)
    expect((await call('GET', '/holds')).json().items).to.deep.equal([])
    const [report] = (await call('GET', '/security-reports')).json().items
    expect(report).to.deep.include({ node: peer, outcome: 'held', false_alarm: true })
  })
})
