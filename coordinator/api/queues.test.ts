/** Queues and jobs over HTTP. */
import { expect } from 'chai'
import { QueueFullError } from '../queues/errors.ts'
import { containers, expectProblem, groupBody, startApi, type TestApi } from './api.fixture.ts'

const queues = '/organizations/acme/projects/web/queues'
const jobs = `${queues}/work/jobs`

describe('coordinator/api: queues', () => {
  let api: TestApi
  beforeEach(async () => {
    api = await startApi()
    const made = await api.call('POST', queues, { name: 'work' })
    expect(made.statusCode, made.body).to.equal(201)
    expect(made.headers.location).to.equal(`${queues}/work`)
  })
  afterEach(() => api.app.close())
  const job = (body: object) => api.call('POST', jobs, body)

  it('serves many groups, shows them, and is deleted after them', async () => {
    const connection = { queue_connection: { path: '/', port: 80, queue_name: 'work' } }
    for (const name of ['first', 'second']) {
      await api.call('POST', containers, groupBody({ name, ...connection }))
    }
    const queue = (await api.call('GET', `${queues}/work`)).json()
    expect(queue.container_groups.map((group: { name: string }) => group.name)).to.deep.equal([
      'first',
      'second',
    ])
    expectProblem(await api.call('DELETE', `${queues}/work`), 409, 'QUEUE_IN_USE')
    for (const name of ['first', 'second']) await api.call('DELETE', `${containers}/${name}`)
    expect((await api.call('DELETE', `${queues}/work`)).statusCode).to.equal(202)
    expectProblem(await api.call('GET', `${queues}/work`), 404, 'QUEUE_NOT_FOUND')
    const late = await api.call('POST', containers, groupBody(connection))
    const { errors } = expectProblem(late, 400, 'REQUEST_INVALID')
    expect(errors['queue_connection.queue_name']?.[0]).to.contain('"work"')
  })

  it("does not take another project's queue for a group's", async () => {
    await api.tenants.ensureProject('acme', 'other')
    const other = containers.replace('web', 'other')
    const connection = { queue_connection: { path: '/', port: 80, queue_name: 'work' } }
    expectProblem(await api.call('POST', other, groupBody(connection)), 400, 'REQUEST_INVALID')
    const theirs = await api.call('GET', queues.replace('web', 'other'))
    expect(theirs.json()).to.deep.equal({ items: [] })
  })

  it('merges a PATCH, and puts back defaults by null', async () => {
    const patch = async (body: object) => (await api.call('PATCH', `${queues}/work`, body)).json()
    expect(await patch({ description: 'a', display_name: 'New' })).to.include({
      ...{ description: 'a', display_name: 'New' },
    })
    expect(await patch({})).to.include({ description: 'a', display_name: 'New' })
    const unset = await patch({ description: null, display_name: null })
    expect(unset).to.include({ description: '', display_name: 'work' })
  })

  it('keeps a job pending until it is cancelled', async () => {
    const made = await job({ input: { deep: [1, null] }, metadata: { a: 1 } })
    expect(made.statusCode, made.body).to.equal(201)
    const { id } = made.json()
    expect(made.headers.location).to.equal(`${jobs}/${id}`)
    expect(made.json()).to.deep.include({ status: 'pending', input: { deep: [1, null] } })
    expect((await api.call('GET', `${queues}/work`)).json().current_queue_length).to.equal(1)
    for (const _ of [1, 2]) {
      expect((await api.call('DELETE', `${jobs}/${id}`)).statusCode).to.equal(202)
    }
    const after = (await api.call('GET', `${jobs}/${id}`)).json()
    expect(after.status).to.equal('cancelled')
    expect(after.events.map(({ action }: { action: string }) => action)).to.deep.equal([
      'created',
      'cancelled',
    ])
    expectProblem(await api.call('GET', `${jobs}/nope`), 404, 'JOB_NOT_FOUND')
  })

  it('pages newest first, and says what a page may be', async () => {
    for (let input = 0; input < 5; input++) await job({ input })
    const page = async (query: string) =>
      (await api.call('GET', `${jobs}?${query}`))
        .json()
        .items.map(({ input }: { input: number }) => input)
    expect(await page('page=1&page_size=2')).to.deep.equal([4, 3])
    expect(await page('page=3&page_size=2')).to.deep.equal([0])
    expect(await page('page=4&page_size=2')).to.deep.equal([])
    expect(await page('')).to.have.length(5)
    for (const query of [
      'page=0',
      'page_size=101',
      'page=a',
      'page=',
      'page=1&page=2',
      'page=1.5',
    ]) {
      const answer = await api.call('GET', `${jobs}?${query}`)
      expectProblem(answer, 400, 'REQUEST_INVALID')
      expect(answer.body).to.contain('page')
    }
  })

  it('takes any JSON up to a megabyte, and says no to the rest', async () => {
    for (const input of [null, false, 0, '', [], {}, 'x'.repeat(1_000_000)]) {
      expect((await job({ input })).json().input).to.deep.equal(input)
    }
    const keys = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [i, 1]))
    expect((await job({ input: 1, metadata: keys(20) })).statusCode).to.equal(201)
    const deep = `{"input":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
    const cases = [
      ['input', await job({})],
      ['metadata', await job({ input: 1, metadata: keys(21) })],
      ['metadata', await job({ input: 1, metadata: [] })],
      ['input', await api.call('POST', jobs, {}, { payload: deep })],
    ] as const
    for (const [field, answer] of cases) {
      const { errors } = expectProblem(answer, 400, 'REQUEST_INVALID')
      expect(Object.keys(errors)).to.deep.equal([field])
    }
    expectProblem(await job({ input: 'x'.repeat(1 << 20) }), 413, 'BODY_TOO_LARGE')
  })

  it('429 when the queue is full, with when to come again', async () => {
    api.queues.jobs.create = () => Promise.reject(new QueueFullError('1 jobs', 10))
    const answer = await job({ input: 1 })
    expectProblem(answer, 429, 'QUEUE_FULL')
    expect(answer.headers['retry-after']).to.equal('10')
  })

  it('takes a webhook by its form and its address, and shows it where the SDK does not choke', async () => {
    const good = (await job({ input: 1, webhook: 'https://hooks.example/a?b=c' })).json()
    expect(good.potluck).to.deep.equal({ attempts: 0, webhook: 'https://hooks.example/a?b=c' })
    expect(good).not.to.have.property('webhook')
    const bad = [
      'nonsense',
      'ftp://hooks.example/',
      'https://user:canary@hooks.example/',
      'http://127.0.0.1/',
      'http://0x7f.1/',
      'http://[::1]:80/',
      'http://192.168.1.1/',
      'http://169.254.169.254/latest',
      'http://localhost/',
      'http://a.localhost./',
      'https://a\nb/',
    ]
    for (const webhook of bad) {
      const answer = await job({ input: 1, webhook })
      const { errors } = expectProblem(answer, 400, 'REQUEST_INVALID')
      expect(Object.keys(errors), webhook).to.deep.equal(['webhook'])
      expect(answer.body).not.to.contain('canary')
    }
  })

  it('404 across tenants, for queues and jobs alike', async () => {
    const { id } = (await job({ input: 1 })).json()
    const headers = { 'salad-api-key': api.foreignKey }
    for (const [method, path] of [
      ['GET', queues],
      ['GET', `${queues}/work`],
      ['PATCH', `${queues}/work`],
      ['DELETE', `${queues}/work`],
      ['POST', jobs],
      ['GET', jobs],
      ['GET', `${jobs}/${id}`],
      ['DELETE', `${jobs}/${id}`],
    ] as const) {
      const body = method === 'POST' ? { input: 1 } : method === 'PATCH' ? {} : undefined
      const answer = await api.call(method, path, body, { headers })
      expectProblem(answer, 404, 'ORGANIZATION_NOT_FOUND')
    }
    const theirs = jobs.replace('acme', 'globex')
    await api.call('POST', queues.replace('acme', 'globex'), { name: 'work' }, { headers })
    const stolen = await api.call('GET', `${theirs}/${id}`, undefined, { headers })
    expectProblem(stolen, 404, 'JOB_NOT_FOUND')
  })
})
