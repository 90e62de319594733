/** What protects the coordinator from its clients, and its clients' secrets from its logs. */
import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { PotluckError } from '../../protocol/errors.ts'
import { createLogger } from '../../protocol/log/index.ts'
import {
  type Answer,
  containers,
  expectProblem,
  groupBody,
  startApi,
  type TestApi,
} from './api.fixture.ts'

describe('coordinator/api: limits and logs', () => {
  let api: TestApi
  beforeEach(async () => {
    api = await startApi()
  })
  afterEach(() => api.app.close())

  it('429 beyond the rate, a key each, with Retry-After', async () => {
    const limited = await startApi({ settings: { ratePerMinute: 3 } })
    const get = (key = limited.key) =>
      limited.call('GET', containers, undefined, { headers: { 'salad-api-key': key } })
    for (let i = 0; i < 3; i++) expect((await get()).statusCode).to.equal(200)
    const answer = await get()
    expectProblem(answer, 429, 'RATE_LIMITED')
    expect(Number(answer.headers['retry-after'])).to.be.within(1, 60)
    expect((await get(limited.foreignKey)).statusCode).to.equal(404)
    await limited.app.close()
  })

  it('429 for an address that tries keys, which locks out no key', async () => {
    const limited = await startApi({ settings: { wrongKeysPerMinute: 2 } })
    const get = (key: string) =>
      limited.call('GET', containers, undefined, { headers: { 'salad-api-key': key } })
    expect((await get('wrong-1')).statusCode).to.equal(401)
    expect((await get('wrong-2')).statusCode).to.equal(401)
    expectProblem(await get('wrong-3'), 429, 'RATE_LIMITED')
    expect((await get(limited.key)).statusCode).to.equal(200)
    await limited.app.close()
  })

  it('503 beyond so many at once, and room again afterwards', async () => {
    const limited = await startApi({ settings: { inflightMax: 2 } })
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    const original = limited.groups.create.bind(limited.groups)
    limited.groups.create = async (...args) => {
      await gate
      return original(...args)
    }
    const held = ['aa', 'bb'].map((name) => limited.call('POST', containers, groupBody({ name })))
    const third = await new Promise<Answer>((resolve) =>
      setImmediate(() => resolve(limited.call('GET', containers))),
    )
    expectProblem(third, 503, 'OVERLOADED')
    expect(third.headers['retry-after']).to.equal('1')
    open()
    for (const answer of await Promise.all(held)) expect(answer.statusCode).to.equal(201)
    for (let i = 0; i < 3; i++) {
      expect((await limited.call('GET', containers)).statusCode).to.equal(200)
    }
    await limited.app.close()
  })

  it('503 for a request that takes too long', async () => {
    const slow = await startApi({ settings: { handlerTimeoutMs: 20 } })
    slow.groups.create = () => new Promise(() => {})
    expectProblem(await slow.call('POST', containers, groupBody()), 503, 'TIMED_OUT')
    await slow.app.close()
  })

  it('answers raw rubbish and endless headers as problems too', async () => {
    await api.app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = api.app.addresses()[0]! as AddressInfo
    const send = async (bytes: string): Promise<string> => {
      const socket = connect(port, '127.0.0.1')
      let text = ''
      socket.on('data', (data) => {
        text += data.toString()
      })
      socket.on('error', () => {})
      socket.write(bytes)
      await once(socket, 'close')
      return text
    }
    const rubbish = await send('hello\r\n\r\n')
    expect(rubbish).to.contain('400 Bad Request').and.contain('application/problem+json')
    const endless = await send(`GET / HTTP/1.1\r\nHost: a\r\nA: ${'x'.repeat(20_000)}\r\n\r\n`)
    expect(endless).to.contain('431 ').and.contain('HEADERS_TOO_LARGE')
  })

  it('logs no secret, whatever happens', async () => {
    const sink = new PassThrough()
    let text = ''
    sink.on('data', (data) => {
      text += data
    })
    const logger = createLogger({ name: 'test', level: 'trace', destination: sink })
    const logged = await startApi({ logger })
    const secrets = {
      environment_variables: { A: 'canary-env' },
      registry_authentication: { basic: { username: 'u', password: 'canary-password' } },
      logging: { splunk: { host: 'a', token: 'canary-token' } },
    }
    await logged.call('POST', containers, groupBody({}, secrets))
    await logged.call('POST', containers, groupBody({}, { ...secrets, image: 1 }))
    await logged.call('GET', `${containers}?key=canary-query`)
    await logged.call('GET', containers, undefined, { headers: { 'salad-api-key': 'canary-key' } })
    logged.groups.create = () => Promise.reject(new PotluckError('ODD', 'a fault of ours'))
    await logged.call('POST', containers, groupBody({ name: 'other' }, secrets))
    await logged.app.close()
    await new Promise((resolve) => setImmediate(resolve))
    expect(text).to.contain('request answered').and.contain('a fault of ours')
    expect(text).not.to.contain('canary').and.not.contain(logged.key)
  })
})
