/** Every way in which a request fails, and what the answer must and must not say. */
import { expect } from 'chai'
import { StoreBusyError } from '../../protocol/store/index.ts'
import { containers, expectProblem, groupBody, startApi, type TestApi } from './api.fixture.ts'

describe('coordinator/api: errors', () => {
  let api: TestApi
  beforeEach(async () => {
    api = await startApi()
  })
  afterEach(() => api.app.close())
  const create = (...args: Parameters<typeof groupBody>) =>
    api.call('POST', containers, groupBody(...args))

  const resources = (changes: object): [object, object] => [
    {},
    { resources: { cpu: 1, memory: 1_024, ...changes } },
  ]
  const cases: readonly [field: string, says: string, ...[object?, object?]][] = [
    ['name', '2 to 63 lower-case', { name: 'Hello' }],
    ['name', 'got "a"', { name: 'a' }],
    ['name', 'is required', { name: undefined }],
    ['replicas', 'a whole number from 0 to 500; got 501', { replicas: 501 }],
    ['replicas', 'got -1', { replicas: -1 }],
    ['replicas', 'got 1.5', { replicas: 1.5 }],
    ['replicas', 'got "2"', { replicas: '2' }],
    ['restart_policy', '"always", "on_failure", "never"; got "maybe"', { restart_policy: 'maybe' }],
    ['display_name', 'letters', { display_name: 'a/b' }],
    ['country_codes[0]', 'ISO 3166-1', { country_codes: ['xx'] }],
    ['container', 'is required', { container: undefined }],
    ['container.image', 'name[:tag]', {}, { image: 'Not An Image' }],
    ['container.image', 'scheme', {}, { image: 'https://registry.example/app' }],
    ['container.resources.cpu', 'from 1 to 16; got 17', ...resources({ cpu: 17 })],
    ['container.resources.memory', '61440', ...resources({ memory: 61_441 })],
    [
      'container.resources.storage_amount',
      '268435456000',
      ...resources({ storage_amount: 268_435_456_001 }),
    ],
    ['container.resources.gpu_classes[0]', 'a UUID', ...resources({ gpu_classes: ['4090'] })],
    [
      'container.resources.gpu_classes[0]',
      'GPU class',
      ...resources({ gpu_classes: ['00000000-0000-4000-8000-000000000000'] }),
    ],
    [
      'container.command',
      '0 to 100 items; got a list of 101',
      {},
      { command: Array(101).fill('a') },
    ],
    ['container.command[0]', '1 to 1000', {}, { command: ['a'.repeat(1_001)] }],
    [
      'container.environment_variables.A',
      '1 to 1000',
      {},
      { environment_variables: { A: 'a'.repeat(1_001) } },
    ],
    [
      'container.environment_variables',
      'without "="',
      {},
      { environment_variables: { 'A=B': '1' } },
    ],
    [
      'container.environment_variables',
      'at most 131072 bytes',
      {},
      {
        environment_variables: Object.fromEntries(
          Array.from({ length: 140 }, (_, index) => [`A${index}`, 'a'.repeat(1_000)]),
        ),
      },
    ],
    [
      'container.command',
      'at most 131072 bytes',
      {},
      { command: Array(100).fill('\u00e4'.repeat(1_000)) },
    ],
    [
      'container.registry_authentication.kerberos',
      'is not known',
      {},
      { registry_authentication: { kerberos: {} } },
    ],
    [
      'container.registry_authentication',
      'of one kind',
      {},
      {
        registry_authentication: {
          basic: { username: 'u', password: 'p' },
          docker_hub: { username: 'u', personal_access_token: 'p' },
        },
      },
    ],
    [
      'container.registry_authentication.aws_ecr',
      'get-login-password',
      {},
      { registry_authentication: { aws_ecr: { access_key_id: 'a', secret_access_key: 'b' } } },
    ],
    [
      'potluck.lost_afterr',
      'valid are lost_after, orphan_after, strict, min_upload_mbps, min_download_mbps, sensitive, scaling_actions',
      { potluck: { lost_afterr: 1 } },
    ],
    ['potluck.min_upload_mbps', '0', { potluck: { min_upload_mbps: -1 } }],
    ['potluck.min_download_mbps', '100000', { potluck: { min_download_mbps: 100_001 } }],
    ['potluck.min_upload_mbps', 'whole number', { potluck: { min_upload_mbps: '10mbit' } }],
    ['potluck.min_download_mbps', 'whole number', { potluck: { min_download_mbps: 1.5 } }],
    ['readiness_probe', 'exactly one of', { readiness_probe: {} }],
    [
      'container.logging.tcp.host',
      'private address',
      {},
      { logging: { tcp: { host: '192.168.0.1', port: 514 } } },
    ],
    [
      'container.logging.splunk.host',
      'loopback',
      {},
      { logging: { splunk: { host: 'https://localhost:8088/', token: 't' } } },
    ],
    ['country_codes', '1 to 500 items', { country_codes: [] }],
    [
      'scaling-actions[0].schedule',
      'minute',
      { 'scaling-actions': [{ replicas: 1, schedule: '99 99 * * *' }] },
    ],
    [
      'scaling-actions',
      '0 to 100 items',
      { 'scaling-actions': Array(101).fill({ replicas: 1, schedule: '0 5 * * *' }) },
    ],
    [
      'potluck.scaling_actions',
      'the same as scaling-actions',
      {
        'scaling-actions': [],
        potluck: { scaling_actions: [{ replicas: 1, schedule: '0 5 * * *' }] },
      },
    ],
    [
      'container.logging',
      'one provider',
      {},
      { logging: { tcp: { host: 'a', port: 1 }, splunk: { host: 'a', token: 'b' } } },
    ],
  ]
  for (const [field, says, ...changes] of cases) {
    it(`400 names ${field}: ${says}`, async () => {
      const problem = expectProblem(
        await create(...(changes as Parameters<typeof groupBody>)),
        400,
        'REQUEST_INVALID',
      )
      expect(Object.keys(problem.errors)).to.deep.equal([field])
      expect(problem.errors[field]?.[0]).to.contain(says)
      expect(problem.detail).to.contain(field)
      expect(api.groups.all()).to.deep.equal([])
    })
  }

  it('400 names every field at once', async () => {
    const { errors } = expectProblem(
      await create({ name: 'X', replicas: 'many' }, { image: 1 }),
      400,
      'REQUEST_INVALID',
    )
    expect(Object.keys(errors)).to.have.members(['name', 'replicas', 'container.image'])
  })

  it('400 on what is no JSON, without quoting it', async () => {
    for (const payload of ['{"password": "canary', '{"__proto__": {"canary": 1}}', '[]', '1', '']) {
      const answer = await api.call('POST', containers, {}, { payload })
      expectProblem(answer, 400, 'REQUEST_INVALID')
      expect(answer.body).not.to.contain('canary')
    }
  })

  it('400 never repeats a secret', async () => {
    const long = `canary${'x'.repeat(20_000)}`
    const bodies = [
      groupBody({}, { environment_variables: { A: `canary${'\n'}` } }),
      groupBody({}, { environment_variables: { A: long } }),
      groupBody({}, { environment_variables: { A: { canary: 'canary' } } }),
      groupBody({}, { registry_authentication: { basic: { username: 1, password: long } } }),
      groupBody({}, { registry_authentication: { basic: 'canary' } }),
      groupBody({}, { logging: { splunk: { host: 'a', token: long } } }),
      groupBody({}, { image: 'https://user:canary@registry.example/app' }),
    ]
    for (const body of bodies) {
      const answer = await api.call('POST', containers, body)
      expectProblem(answer, 400, 'REQUEST_INVALID')
      expect(answer.body).not.to.contain('canary')
    }
  })

  it('401 without a key, with a wrong one, and takes it as Bearer too', async () => {
    for (const headers of [
      { 'salad-api-key': '' },
      { 'salad-api-key': 'wrong' },
      { 'salad-api-key': '', authorization: 'Bearer wrong' },
      { 'salad-api-key': '', authorization: `Basic ${api.key}` },
    ]) {
      const answer = await api.call('GET', containers, undefined, { headers })
      expectProblem(answer, 401, 'UNAUTHORIZED')
      expect(answer.headers['www-authenticate']).to.contain('Bearer')
    }
    const headers = { 'salad-api-key': '', authorization: `Bearer ${api.key}` }
    expect((await api.call('GET', containers, undefined, { headers })).statusCode).to.equal(200)
  })

  it('404 across tenants, the same as for what nobody has', async () => {
    await create()
    const headers = { 'salad-api-key': api.foreignKey }
    const paths = [containers, `${containers}/hello`, `${containers}/hello/instances`]
    for (const path of [...paths, '/organizations/acme/quotas']) {
      const foreign = expectProblem(
        await api.call('GET', path, undefined, { headers }),
        404,
        'ORGANIZATION_NOT_FOUND',
      )
      const absent = expectProblem(
        await api.call('GET', path.replace('acme', 'nobody'), undefined, { headers }),
        404,
        'ORGANIZATION_NOT_FOUND',
      )
      expect(foreign.detail.replace('acme', 'nobody')).to.equal(absent.detail)
    }
    for (const [method, path] of [
      ['PATCH', `${containers}/hello`],
      ['DELETE', `${containers}/hello`],
      ['POST', `${containers}/hello/stop`],
      ['POST', containers],
    ] as const) {
      const body = method === 'PATCH' ? {} : method === 'POST' ? groupBody() : undefined
      const answer = await api.call(method, path, body, { headers })
      expectProblem(answer, 404, 'ORGANIZATION_NOT_FOUND')
    }
    expect(api.groups.all()[0]).to.include({ desired: 'running' })
  })

  it('404 for projects, groups, paths and methods that do not exist', async () => {
    const wrongProject = containers.replace('web', 'nope')
    expectProblem(await api.call('GET', wrongProject), 404, 'PROJECT_NOT_FOUND')
    expectProblem(await api.call('GET', `${containers}/nope`), 404, 'GROUP_NOT_FOUND')
    expectProblem(await api.call('PATCH', `${containers}/nope`, {}), 404, 'GROUP_NOT_FOUND')
    expectProblem(await api.call('GET', '/nothing?key=canary'), 404, 'PATH_NOT_FOUND')
    expectProblem(await api.call('PUT', containers, {}), 404, 'PATH_NOT_FOUND')
    expectProblem(await api.app.inject('/'), 404, 'PATH_NOT_FOUND')
  })

  it('400 for a path that is no URL', async () => {
    expectProblem(await api.call('GET', `${containers}/%ZZ`), 400, 'URL_INVALID')
  })

  it('403 beyond the quota, 409 for a name that is taken', async () => {
    await create({ replicas: 500 })
    expectProblem(await create(), 409, 'GROUP_NAME_TAKEN')
    await create({ name: 'second', replicas: 500 })
    expectProblem(await create({ name: 'third', replicas: 1 }), 403, 'QUOTA_EXCEEDED')
  })

  it('413 for a body beyond the limit, 415 for one that is no JSON', async () => {
    const payload = JSON.stringify({ a: 'x'.repeat(1 << 20) })
    const large = await api.call('POST', containers, {}, { payload })
    expectProblem(large, 413, 'BODY_TOO_LARGE')
    for (const type of ['text/plain', 'application/xml', 'multipart/form-data; boundary=x']) {
      const headers = { 'content-type': type }
      const answer = await api.call('POST', containers, {}, { headers })
      expectProblem(answer, 415, 'MEDIA_TYPE_UNSUPPORTED')
    }
  })

  it('500 without a word of what went wrong inside', async () => {
    api.view.instances = () => {
      throw new TypeError('canary of a bug')
    }
    const answer = await create()
    const problem = expectProblem(answer, 500, 'INTERNAL')
    expect(answer.body).not.to.contain('canary')
    expect(problem.detail).to.contain(problem.instance.replace('urn:uuid:', ''))
  })

  it('503 when the disk cannot keep up, with when to come again', async () => {
    api.groups.create = () => Promise.reject(new StoreBusyError(1, 1))
    const answer = await create()
    expectProblem(answer, 503, 'STORE_BUSY')
    expect(answer.headers['retry-after']).to.equal('1')
  })
})
