/** The API as clients meet it: each path, what it takes and what it shows. */

import { expect } from 'chai'
import { Compile } from 'typebox/compile'
import {
  containers,
  expectProblem,
  fakeInstance,
  groupBody,
  startApi,
  type TestApi,
} from './api.fixture.ts'
import { GroupSchema, InstanceSchema } from './schemas/group-response.ts'

const isGroup = Compile(GroupSchema)
const isInstance = Compile(InstanceSchema)

type Shown = Readonly<{ id: string; name: string; potluck: { slot: number } }>

describe('coordinator/api', () => {
  let api: TestApi
  beforeEach(async () => {
    api = await startApi()
  })
  afterEach(() => api.app.close())
  const create = (...args: Parameters<typeof groupBody>) =>
    api.call('POST', containers, groupBody(...args))

  describe('container groups', () => {
    it('creates, with defaults, and shows the same afterwards', async () => {
      const answer = await create()
      expect(answer.statusCode, answer.body).to.equal(201)
      expect(answer.headers['content-type']).to.equal('application/json')
      expect(answer.headers.location).to.equal(`${containers}/hello`)
      const group = answer.json()
      expect([...isGroup.Errors(group)]).to.deep.equal([])
      expect(group).to.deep.include({
        name: 'hello',
        display_name: 'hello',
        version: 1,
        replicas: 2,
        priority: null,
        country_codes: [],
        pending_change: false,
        'scaling-actions': [],
        'scheduled-scaling-enabled': false,
      })
      expect(group.container.resources).to.deep.equal({
        cpu: 1,
        memory: 1_024,
        gpu_classes: [],
        shm_size: 64,
        storage_amount: 2 ** 30,
      })
      expect(group.current_state.status).to.equal('pending')
      expect(group.potluck).to.include({
        ...{ lost_after: 0, orphan_after: 3_600, strict: false },
        ...{ min_upload_mbps: 0, min_download_mbps: 0, sensitive: false },
      })
      expect((await api.call('GET', `${containers}/hello`)).json()).to.deep.equal(group)
      const list = (await api.call('GET', containers)).json()
      expect(list.items).to.deep.equal([group])
    })

    it('takes every field of the contract, and says what has no effect yet', async () => {
      await api.call('POST', '/organizations/acme/projects/web/queues', { name: 'jobs' })
      const probe = { tcp: { port: 80 } }
      const answer = await create(
        {
          display_name: 'Hello, world',
          country_codes: ['us', 'de'],
          liveness_probe: probe,
          readiness_probe: { http: { path: '/', port: 80, scheme: 'http', headers: [] } },
          startup_probe: { exec: { command: ['true'] }, failure_threshold: 20 },
          networking: { auth: true, port: 80, protocol: 'http' },
          queue_autoscaler: { desired_queue_length: 1, max_replicas: 3, min_replicas: 0 },
          queue_connection: { path: '/', port: 80, queue_name: 'jobs' },
          'scaling-actions': [{ replicas: 1, schedule: '0 5 * * *' }],
          'scheduled-scaling-enabled': true,
          potluck: {
            ...{ lost_after: 60, orphan_after: 0, strict: true },
            ...{ min_upload_mbps: 10, min_download_mbps: 100, sensitive: true },
          },
        },
        {
          command: ['sleep', '1'],
          environment_variables: { A: '1' },
          image_caching: true,
          priority: 'high',
          logging: { tcp: { host: 'logs.example', port: 1 } },
          registry_authentication: { basic: { username: 'u', password: 'p' } },
          resources: {
            cpu: 16,
            memory: 61_440,
            gpu_classes: ['ED563892-aacd-40f5-80b7-90c9be6c759b'],
            storage_amount: 268_435_456_000,
            shm_size: 128,
          },
        },
      )
      expect(answer.statusCode, answer.body).to.equal(201)
      const group = answer.json()
      expect([...isGroup.Errors(group)]).to.deep.equal([])
      expect(group.liveness_probe).to.include({ period_seconds: 10, timeout_seconds: 30 })
      expect(group.startup_probe).to.include({ period_seconds: 3, failure_threshold: 20 })
      expect(group.networking.dns).to.match(/^g[0-9a-f]{32}\.potluck\.internal$/)
      expect(group.potluck).to.include({
        ...{ lost_after: 60, orphan_after: 0, strict: true },
        ...{ min_upload_mbps: 10, min_download_mbps: 100, sensitive: true },
      })
      expect(group.potluck.not_in_effect).to.include.members([
        'readiness_probe',
        'networking',
        'container.logging',
      ])
      expect(group.container.environment_variables).to.deep.equal({ A: '1' })
      expect(JSON.stringify(group)).not.to.contain('registry_authentication')
    })

    it('takes schedules under either name, and shows them under both', async () => {
      const actions = [{ replicas: 1, schedule: '0 5 * * mon-fri' }]
      const made = (await create({ potluck: { scaling_actions: actions } })).json()
      expect(made).to.deep.include({
        'scaling-actions': actions,
        'scheduled-scaling-enabled': true,
      })
      expect(made.potluck.scaling_actions).to.deep.equal(actions)
      const patch = async (body: object) =>
        (await api.call('PATCH', `${containers}/hello`, body)).json()
      const other = [{ replicas: 2, schedule: '*/5 * * * *' }]
      const changed = await patch({ 'scaling-actions': other })
      expect(changed.potluck.scaling_actions).to.deep.equal(other)
      expect(changed.version).to.equal(1)
      const gone = await patch({ potluck: { scaling_actions: null } })
      expect(gone).to.deep.include({ 'scaling-actions': [], 'scheduled-scaling-enabled': false })
    })

    it('reads each kind of registry credentials, once and sealed', async () => {
      const kinds = {
        basic: { username: 'u', password: 'p' },
        docker_hub: { username: 'u', personal_access_token: 'p' },
        gcp_gar: { service_key: '{\n"k": 1}' },
        gcp_gcr: { service_key: '{}' },
      }
      const seen = []
      for (const [kind, value] of Object.entries(kinds)) {
        const name = kind.replace('_', '-')
        const answer = await create({ name }, { registry_authentication: { [kind]: value } })
        expect(answer.statusCode, answer.body).to.equal(201)
        seen.push(api.groups.openCredentials(api.groups.byId(answer.json().id)!))
      }
      expect(seen).to.deep.equal([
        { username: 'u', password: 'p' },
        { username: 'u', password: 'p' },
        { username: '_json_key', password: '{\n"k": 1}' },
        { username: '_json_key', password: '{}' },
      ])
    })

    it('merges a PATCH: absent stays, null goes, and only some of it makes a version', async () => {
      await create({}, { environment_variables: { A: '1', B: '2' }, command: ['x'] })
      const patch = async (body: unknown) => {
        const answer = await api.call('PATCH', `${containers}/hello`, body)
        expect(answer.statusCode, answer.body).to.equal(200)
        expect([...isGroup.Errors(answer.json())]).to.deep.equal([])
        return answer.json()
      }
      expect(await patch({ replicas: 5, display_name: 'New' })).to.include({
        replicas: 5,
        display_name: 'New',
        version: 1,
      })
      expect((await patch({ display_name: null })).display_name).to.equal('hello')
      expect((await patch({ replicas: null, container: null })).replicas).to.equal(5)
      const merged = await patch({ container: { environment_variables: { A: null, C: '3' } } })
      expect(merged.container.environment_variables).to.deep.equal({ B: '2', C: '3' })
      expect(merged).to.include({ version: 2 })
      const same = { container: { environment_variables: { C: '3' }, command: ['x'] } }
      expect(await patch(same)).to.include({ version: 2, update_time: merged.update_time })
      expect((await patch({ container: { image: 'b:2' } })).version).to.equal(3)
      expect(
        (await patch({ container: { resources: { cpu: 2 } } })).container.resources,
      ).to.include({ cpu: 2, memory: 1_024 })
      expect((await patch({ container: { priority: 'low' } })).priority).to.equal('low')
      expect((await patch({ container: { priority: null } })).priority).to.equal(null)
      expect((await patch({ country_codes: ['us'] })).country_codes).to.deep.equal(['us'])
      expect((await patch({ country_codes: null })).country_codes).to.deep.equal([])
      expect((await patch({ potluck: { strict: true } })).potluck.strict).to.equal(true)
      expect((await patch({ potluck: { strict: null } })).potluck.strict).to.equal(false)
      const asked = await patch({ potluck: { min_upload_mbps: 20 } })
      expect(asked.potluck).to.include({ min_upload_mbps: 20, min_download_mbps: 0 })
      expect(asked.version, 'what runs goes on').to.equal(4)
      const unset = await patch({ potluck: { min_upload_mbps: null } })
      expect(unset.potluck.min_upload_mbps).to.equal(0)
      expect(await patch({ readiness_probe: { tcp: { port: 1 } } })).to.include({ version: 5 })
      expect(await patch({ readiness_probe: null })).to.not.have.property('readiness_probe')
    })

    it('starts, stops and deletes, each again without harm', async () => {
      await create({ autostart_policy: false })
      const status = async () =>
        (await api.call('GET', `${containers}/hello`)).json().current_state.status
      expect(await status()).to.equal('stopped')
      for (const [action, after] of [
        ['start', 'pending'],
        ['start', 'pending'],
        ['stop', 'stopped'],
        ['stop', 'stopped'],
      ] as const) {
        const answer = await api.call('POST', `${containers}/hello/${action}`)
        expect([answer.statusCode, answer.body]).to.deep.equal([202, ''])
        expect(await status()).to.equal(after)
      }
      expect((await api.call('DELETE', `${containers}/hello`)).statusCode).to.equal(202)
      expectProblem(await api.call('DELETE', `${containers}/hello`), 404, 'GROUP_NOT_FOUND')
      expect((await create()).statusCode).to.equal(201)
    })

    it('takes an empty body that claims to be JSON where there is none to take', async () => {
      await create()
      const headers = { 'content-type': 'application/json' }
      const answer = await api.call('POST', `${containers}/hello/stop`, undefined, { headers })
      expect(answer.statusCode, answer.body).to.equal(202)
    })
  })

  describe('instances', () => {
    it('lists them by slot, and gets one', async () => {
      const { id } = (await create()).json()
      api.view.running.set(id, [fakeInstance(1, { state: 'downloading' }), fakeInstance(0)])
      const answer = await api.call('GET', `${containers}/hello/instances`)
      const { instances } = answer.json()
      expect(instances.map((item: Shown) => item.potluck.slot)).to.deep.equal([0, 1])
      for (const item of instances) expect([...isInstance.Errors(item)]).to.deep.equal([])
      expect(instances[1]).to.include({ state: 'downloading', pulling_progress: 33.3 })
      const path = `${containers}/hello/instances/${instances[0].id}`
      const one = await api.call('GET', path)
      expect([one.statusCode, one.json()]).to.deep.equal([202, instances[0]])
      expect((await api.call('POST', `${path}/reallocate`)).statusCode).to.equal(202)
      const wrong = await api.call('GET', `${containers}/hello/instances/nope`)
      expectProblem(wrong, 404, 'INSTANCE_NOT_FOUND')
    })
  })

  describe('organization', () => {
    it('lists GPU classes and quotas', async () => {
      await create({ replicas: 7 })
      const { items } = (await api.call('GET', '/organizations/acme/gpu-classes')).json()
      expect(items.map((item: Shown) => item.name)).to.include('RTX 4090 (24 GB)')
      expect(new Set(items.map((item: Shown) => item.id)).size).to.equal(items.length)
      const quotas = (await api.call('GET', '/organizations/acme/quotas')).json()
      expect(quotas.container_groups_quotas.container_replicas_used).to.equal(7)
    })
  })

  it('shows its documentation without a key, from its own files', async () => {
    const page = await api.app.inject('/docs/')
    expect(page.statusCode).to.equal(200)
    expect(page.body).not.to.match(/(src|href)="https?:/)
    const { openapi, paths } = (await api.app.inject('/docs/json')).json()
    expect(openapi).to.equal('3.1.0')
    const path = `/api/public/organizations/{organization_name}/projects/{project_name}/containers`
    expect(Object.keys(paths[path])).to.have.members(['get', 'post'])
  })
})
