/** Whatever a client sends, it gets an answer of the contract and never a 500 (seeds are printed). */
import { expect } from 'chai'
import fc from 'fast-check'
import { containers, groupBody, startApi, type TestApi } from './api.fixture.ts'

const fullBody = groupBody(
  {
    display_name: 'Full',
    country_codes: ['us'],
    readiness_probe: { tcp: { port: 80 } },
    networking: { auth: true, port: 80, protocol: 'http' },
    'scaling-actions': [{ replicas: 1, schedule: '0 5 * * *' }],
    potluck: { lost_after: 1, orphan_after: 1, strict: true },
  },
  {
    command: ['a'],
    environment_variables: { A: '1' },
    registry_authentication: { basic: { username: 'u', password: 'p' } },
    logging: { tcp: { host: 'a', port: 1 } },
    resources: { cpu: 1, memory: 1_024, gpu_classes: [], storage_amount: 2 ** 30, shm_size: 64 },
  },
)

type Place = readonly string[]

function placesOf(value: unknown, place: Place = []): Place[] {
  if (typeof value !== 'object' || value === null) return [place]
  const inner = Object.entries(value).flatMap(([name, item]) => placesOf(item, [...place, name]))
  return place.length === 0 ? inner : [place, ...inner]
}

function replaced(value: unknown, [name, ...rest]: Place, by: unknown): unknown {
  if (name === undefined) return by
  if (Array.isArray(value)) return value.map((item) => replaced(item, rest, by))
  const object = value as Readonly<Record<string, unknown>>
  return { ...object, [name]: replaced(object[name], rest, by) }
}

describe('coordinator/api: hostile bodies', function () {
  this.timeout(60_000)
  let api: TestApi
  beforeEach(async () => {
    api = await startApi()
  })
  afterEach(() => api.app.close())

  const json = fc.jsonValue({ maxDepth: 4 })
  /** A valid body in which one field, at any depth, is replaced by anything. */
  const nearlyValid = fc
    .tuple(fc.constantFrom(...placesOf(fullBody)), fc.oneof(json, fc.constant(undefined)))
    .map(([place, value]) => replaced(fullBody, place, value))

  const send = async (method: 'POST' | 'PATCH', path: string, body: unknown): Promise<void> => {
    const answer = await api.call(method, path, body)
    expect(answer.statusCode, answer.body).to.be.oneOf([200, 201, 400, 403, 409])
    if (answer.statusCode >= 400) expect(answer.json()).to.include.keys('detail', 'type', 'code')
    else {
      // What was taken can be shown again.
      const shown = await api.call('GET', `${containers}/${answer.json().name}`)
      expect(shown.statusCode, shown.body).to.equal(200)
    }
    for (const group of api.groups.all()) {
      if (group.name === 'fixed' || group.deletedMs !== undefined) continue
      await api.call('DELETE', `${containers}/${group.name}`)
      await api.groups.forgetDeleted(group.id)
    }
  }

  it('POST of any JSON, and of nearly valid bodies', async () => {
    const body = fc.oneof({ weight: 1, arbitrary: json }, { weight: 4, arbitrary: nearlyValid })
    await fc.assert(
      fc.asyncProperty(body, (value) => send('POST', containers, value)),
      { numRuns: 150 },
    )
  })

  it('PATCH of any JSON, and of nearly valid bodies', async () => {
    await api.call('POST', containers, groupBody({ name: 'fixed' }))
    const body = fc.oneof({ weight: 1, arbitrary: json }, { weight: 4, arbitrary: nearlyValid })
    await fc.assert(
      fc.asyncProperty(body, (value) => send('PATCH', `${containers}/fixed`, value)),
      { numRuns: 150 },
    )
  })

  it('any text as a path, a key, or a body', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), fc.webPath(), async (text, path) => {
        const payload = text
        const posted = await api.call('POST', containers, {}, { payload })
        expect(posted.statusCode).to.equal(400)
        const url = `/api/public/organizations/${encodeURIComponent(text)}${path}`
        const got = await api.app.inject({ url, headers: { 'salad-api-key': api.key } })
        expect(got.statusCode).to.be.oneOf([400, 404])
        const headers = { authorization: `Bearer ${encodeURIComponent(text)}` }
        const denied = await api.app.inject({ url: `/api/public${containers}`, headers })
        expect(denied.statusCode).to.be.oneOf([401, 429])
      }),
      { numRuns: 80 },
    )
  })

  it('deep nesting, where it is looked at and where it is not', async () => {
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
    const payloads = [
      deep,
      JSON.stringify(groupBody()).replace('{', `{"unknown":${deep},`),
      JSON.stringify(groupBody()).replace('"image"', `"command":${deep},"image"`),
      JSON.stringify(groupBody({ name: 'other' })).replace(
        '{',
        `{"readiness_probe":{"tcp":{"port":1},"x":${deep}},`,
      ),
    ]
    for (const payload of payloads) {
      const answer = await api.call('POST', containers, {}, { payload })
      expect(answer.statusCode, answer.body.slice(0, 300)).to.be.oneOf([201, 400])
    }
  })
})
