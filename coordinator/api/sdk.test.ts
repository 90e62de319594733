/**
 * SaladCloud's own SDK, unmodified, with its response validation on, over a real socket: the proof
 * that a tenant's client needs another base URL and nothing else.
 */
import type { AddressInfo } from 'node:net'
import {
  type ContainerGroupCreationRequest,
  SaladCloudSdk,
} from '@saladtechnologies-oss/salad-cloud-sdk'
import { expect } from 'chai'
import { fakeInstance, startApi, type TestApi } from './api.fixture.ts'

/** Operations that a test has called, as `service.method`. */
const called = new Set<string>()

/** Those of the SDK's services that are one request each. */
function operationsOf(sdk: SaladCloudSdk): readonly string[] {
  const { config: _, ...services } = sdk
  return Object.entries(services).flatMap(([service, methods]) =>
    Object.getOwnPropertyNames(Object.getPrototypeOf(methods))
      .filter((name) => name !== 'constructor')
      .map((name) => `${service}.${name}`),
  )
}

/** The same SDK, watched. */
function watched(sdk: SaladCloudSdk): SaladCloudSdk {
  const watch = (service: string, methods: object) =>
    new Proxy(methods, {
      get(target, name, receiver) {
        called.add(`${service}.${String(name)}`)
        return Reflect.get(target, name, receiver)
      },
    })
  return new Proxy(sdk, {
    get: (target, name) => watch(String(name), Reflect.get(target, name)),
  })
}

function errorOf(call: Promise<unknown>) {
  return call.then(
    () => expect.fail('did not throw'),
    (reason) => reason,
  )
}

/** A call ends in a status that the contract lists for it, and the SDK types it. */
async function problemOf(call: Promise<unknown>, status: number): Promise<void> {
  const error = await errorOf(call)
  expect(error.constructor.name, String(error)).to.equal('ProblemDetails')
  expect(error).to.include({ status })
  for (const member of ['detail', 'instance', 'title', 'type']) {
    expect(error[member], member).to.be.a('string').and.not.equal('')
  }
}

/** A call ends in a status that the contract does not list: the SDK hands over what came. */
async function unlistedOf(call: Promise<unknown>, status: number): Promise<void> {
  const error = await errorOf(call)
  expect(error.constructor.name, String(error)).to.equal('HttpError')
  expect(error.metadata).to.include({ status })
  const problem = JSON.parse(Buffer.from(error.raw).toString())
  expect(problem).to.include.keys('detail', 'instance', 'status', 'title', 'type')
}

describe("coordinator/api: SaladCloud's SDK", () => {
  let api: TestApi
  let sdk: SaladCloudSdk
  let operations: readonly string[] = []
  beforeEach(async () => {
    api = await startApi({ catalogue: [endpoint] })
    await api.app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = api.app.addresses()[0] as AddressInfo
    const baseUrl = `http://127.0.0.1:${port}/api/public`
    const plain = new SaladCloudSdk({
      apiKey: api.key,
      baseUrl,
      retry: { attempts: 1 },
      validation: { responseValidation: true },
    })
    operations = operationsOf(plain)
    sdk = watched(plain)
  })
  afterEach(() => api.app.close())
  after('every operation of the SDK was called', () => {
    expect(operations.length).to.be.at.least(36)
    expect(operations.filter((operation) => !called.has(operation))).to.deep.equal([])
  })

  const request = {
    name: 'hello',
    displayName: 'Hello',
    autostartPolicy: true,
    replicas: 2,
    restartPolicy: 'always',
    container: {
      image: 'registry.example/acme/hello:1',
      command: ['sleep', '1'],
      environmentVariables: { A: '1' },
      priority: 'high',
      registryAuthentication: { basic: { username: 'u', password: 'p' } },
      resources: {
        cpu: 2,
        memory: 2_048,
        gpuClasses: ['ed563892-aacd-40f5-80b7-90c9be6c759b'],
        storageAmount: 2 ** 31,
      },
    },
    countryCodes: ['us'],
    networking: { auth: false, port: 80, protocol: 'http' },
    readinessProbe: {
      http: { path: '/', port: 80, scheme: 'http', headers: [{ name: 'a', value: 'b' }] },
      failureThreshold: 3,
      initialDelaySeconds: 0,
      periodSeconds: 1,
      successThreshold: 1,
      timeoutSeconds: 1,
    },
  } as ContainerGroupCreationRequest

  it('creates, lists, gets, updates, starts, stops and deletes a group', async () => {
    const { containerGroups } = sdk
    const { data: made } = await containerGroups.createContainerGroup('acme', 'web', request)
    expect(made).to.deep.include({ name: 'hello', replicas: 2, version: 1, priority: 'high' })
    expect(made?.container.environmentVariables).to.deep.equal({ A: '1' })
    expect(made?.networking?.loadBalancer).to.equal('round_robin')

    const { data: list } = await containerGroups.listContainerGroups('acme', 'web')
    expect(list?.items.map(({ id }) => id)).to.deep.equal([made?.id])

    const patch = { replicas: 3, container: { image: 'registry.example/acme/hello:2' } }
    const update = await containerGroups.updateContainerGroup('acme', 'web', 'hello', patch)
    expect(update.data).to.include({ replicas: 3, version: 2 })

    await containerGroups.stopContainerGroup('acme', 'web', 'hello')
    const stopped = await containerGroups.getContainerGroup('acme', 'web', 'hello')
    expect(stopped.data?.currentState.status).to.equal('stopped')
    await containerGroups.startContainerGroup('acme', 'web', 'hello')
    const started = await containerGroups.getContainerGroup('acme', 'web', 'hello')
    expect(started.data?.currentState.status).to.equal('pending')

    await containerGroups.deleteContainerGroup('acme', 'web', 'hello')
    const after = await containerGroups.listContainerGroups('acme', 'web')
    expect(after.data?.items).to.deep.equal([])
  })

  it('lists, gets and updates instances, and gives them other nodes and containers', async () => {
    const { containerGroups } = sdk
    await containerGroups.createContainerGroup('acme', 'web', request)
    const group = api.groups.all()[0]
    expect(group).not.to.equal(undefined)
    if (!group) return
    api.view.running.set(group.id, [fakeInstance(0), fakeInstance(1, { state: 'downloading' })])
    const { data } = await containerGroups.listContainerGroupInstances('acme', 'web', 'hello')
    expect(data?.instances.map(({ state }) => state)).to.deep.equal(['running', 'downloading'])
    const id = data?.instances[1]?.id ?? ''
    const at = ['acme', 'web', 'hello', id] as const
    const one = await containerGroups.getContainerGroupInstance(...at)
    expect(one.data).to.include({ id, pullingProgress: 33.3, ready: true, deletionCost: 0 })
    const costly = await containerGroups.updateContainerGroupInstance(...at, { deletionCost: 7 })
    expect(costly.data).to.include({ id, deletionCost: 7 })
    const again = await containerGroups.getContainerGroupInstance(...at)
    expect(again.data?.deletionCost).to.equal(7)
    await containerGroups.reallocateContainerGroupInstance(...at)
    await containerGroups.recreateContainerGroupInstance(...at)
    await containerGroups.restartContainerGroupInstance(...at)
    const nobody = '00000000-0000-4000-8000-00000000dead'
    const absent = ['acme', 'web', 'hello', nobody] as const
    await problemOf(containerGroups.getContainerGroupInstance(...absent), 404)
    await problemOf(containerGroups.updateContainerGroupInstance(...absent, {}), 404)
    await problemOf(containerGroups.reallocateContainerGroupInstance(...absent), 404)
    await problemOf(containerGroups.recreateContainerGroupInstance(...absent), 404)
    await problemOf(containerGroups.restartContainerGroupInstance(...absent), 404)
    // The SDK's own validation has whole numbers as numbers.
    const half = { deletionCost: 0.5 }
    await problemOf(containerGroups.updateContainerGroupInstance(...at, half), 400)
  })

  it('tells what happened to a group', async () => {
    await sdk.containerGroups.createContainerGroup('acme', 'web', request)
    await sdk.containerGroups.stopContainerGroup('acme', 'web', 'hello')
    const { data } = await sdk.systemLogs.getSystemLogs('acme', 'web', 'hello')
    expect(data?.items.map(({ eventName }) => eventName)).to.deep.equal([
      'Container Group Stopped',
      'Container Group Started',
    ])
    expect(data?.items[0]).to.include({ resourceCpu: 2, resourceGpuClass: 'RTX 4090 (24 GB)' })
    await problemOf(sdk.systemLogs.getSystemLogs('acme', 'web', 'nope'), 404)
  })

  it('makes, shows, updates and deletes queues', async () => {
    const { queues } = sdk
    const { data: made } = await queues.createQueue('acme', 'web', { name: 'work' })
    expect(made).to.deep.include({ name: 'work', displayName: 'work', containerGroups: [] })
    const queueConnection = { path: '/run', port: 8_080, queueName: 'work' }
    const serving = { ...request, queueConnection } as ContainerGroupCreationRequest
    await sdk.containerGroups.createContainerGroup('acme', 'web', serving)
    const { data: got } = await queues.getQueue('acme', 'web', 'work')
    expect(got?.containerGroups[0]?.queueConnection).to.deep.equal(queueConnection)
    const patch = { displayName: 'Work', description: 'of all kinds' }
    const { data: updated } = await queues.updateQueue('acme', 'web', 'work', patch)
    expect(updated).to.include({ displayName: 'Work', description: 'of all kinds' })
    const { data: list } = await queues.listQueues('acme', 'web')
    expect(list?.items.map(({ id }) => id)).to.deep.equal([made?.id])
    await unlistedOf(queues.createQueue('acme', 'web', { name: 'work' }), 409)
    await unlistedOf(queues.deleteQueue('acme', 'web', 'work'), 409)
    await sdk.containerGroups.deleteContainerGroup('acme', 'web', 'hello')
    await queues.deleteQueue('acme', 'web', 'work')
    await problemOf(queues.getQueue('acme', 'web', 'work'), 404)
    await problemOf(queues.listQueues('globex', 'web'), 404)
  })

  it('makes, pages, gets and cancels jobs of a queue', async () => {
    const { queues } = sdk
    await queues.createQueue('acme', 'web', { name: 'work' })
    const at = ['acme', 'web', 'work'] as const
    const webhook = 'https://hooks.example/done'
    const job = { input: { prompt: ['a', 1] }, metadata: { a: 1 }, webhook }
    const { data: made } = await queues.createQueueJob(...at, job)
    expect(made).to.deep.include({ status: 'pending', input: job.input, metadata: { a: 1 } })
    await queues.createQueueJob(...at, { input: 'second' })
    const { data: page } = await queues.listQueueJobs(...at, { page: 2, pageSize: 1 })
    expect(page?.items.map(({ id }) => id)).to.deep.equal([made?.id])
    const id = made?.id ?? ''
    await queues.deleteQueueJob(...at, id)
    const { data: after } = await queues.getQueueJob(...at, id)
    expect(after?.status).to.equal('cancelled')
    expect(after?.events.map(({ action }) => action)).to.deep.equal(['created', 'cancelled'])
    await problemOf(queues.getQueueJob(...at, '00000000-0000-4000-8000-000000000000'), 404)
    const inside = { input: 1, webhook: 'http://10.0.0.1/' }
    await problemOf(queues.createQueueJob(...at, inside), 400)
  })

  it('sends jobs to inference endpoints, and sees its own only', async () => {
    await api.queues.create(await scopeOf('globex'), {
      ...{ name: 'models', displayName: 'models', description: '' },
    })
    const { inferenceEndpoints } = sdk
    const { data: list } = await inferenceEndpoints.listInferenceEndpoints('acme', { pageSize: 5 })
    expect(list).to.deep.include({ page: 1, pageSize: 5, totalSize: 1 })
    const { data: got } = await inferenceEndpoints.getInferenceEndpoint('acme', 'transcribe')
    expect(got).to.deep.equal(list?.items[0])
    const at = ['acme', 'transcribe'] as const
    const webhookUrl = 'https://hooks.example/done'
    const wanted = { input: { url: 'https://audio.example/1' }, metadata: { a: 1 }, webhookUrl }
    const { data: made } = await inferenceEndpoints.createInferenceEndpointJob(...at, wanted)
    expect(made).to.include({ status: 'pending', organizationName: 'acme', webhookUrl })
    const { data: jobs } = await inferenceEndpoints.listInferenceEndpointJobs(...at)
    expect(jobs?.items).to.deep.equal([made])
    const id = made?.id ?? ''
    await inferenceEndpoints.deleteInferenceEndpointJob(...at, id)
    const { data: after } = await inferenceEndpoints.getInferenceEndpointJob(...at, id)
    expect(after?.status).to.equal('cancelled')
    await problemOf(inferenceEndpoints.getInferenceEndpoint('acme', 'nope'), 404)
    await problemOf(inferenceEndpoints.listInferenceEndpoints('acme', { pageSize: 1.5 }), 400)

    sdk.apiKey = api.foreignKey
    const theirs = await inferenceEndpoints.listInferenceEndpointJobs('globex', 'transcribe')
    expect(theirs.data).to.deep.include({ items: [], totalSize: 0 })
    const stolen = inferenceEndpoints.getInferenceEndpointJob('globex', 'transcribe', id)
    await problemOf(stolen, 404)
  })

  it('shows the webhook key, and another after it was replaced', async () => {
    const key = async () => (await sdk.webhookSecretKey.getWebhookSecretKey('acme')).data?.secretKey
    const first = await key()
    expect(Buffer.from(first ?? '', 'base64')).to.have.length(32)
    expect(await key()).to.equal(first)
    const { data } = await sdk.webhookSecretKey.updateWebhookSecretKey('acme')
    expect(data?.secretKey).not.to.equal(first)
    expect(await key()).to.equal(data?.secretKey)
    await problemOf(sdk.webhookSecretKey.getWebhookSecretKey('globex'), 404)
  })

  it('queries logs, of which there are none yet', async () => {
    const [startTime, endTime] = ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00+01:00']
    const query = { startTime, endTime, query: 'severity >= "error"', pageSize: 10 }
    const { data } = await sdk.logs.queryLogEntries('acme', query)
    expect(data).to.deep.equal({
      organizationName: 'acme',
      pageMinTime: '2026-01-01T00:00:00.000Z',
      pageMaxTime: '2026-01-01T23:00:00.000Z',
      items: [],
    })
    const backwards = { startTime: endTime, endTime: startTime, query: '' }
    await problemOf(sdk.logs.queryLogEntries('acme', backwards), 400)
    await problemOf(sdk.logs.queryLogEntries('acme', { ...query, endTime: 'soon' }), 400)
  })

  it('tells what is free', async () => {
    const room = { milliCpus: 8_000, memoryBytes: 2 ** 34, storageBytes: 2 ** 36 }
    const gpuClasses = ['ed563892-aacd-40f5-80b7-90c9be6c759b']
    const all = { ...room, gpuClasses }
    api.view.lent.push(
      { ...all, country: 'us', isFree: true, all },
      { ...all, country: 'us', isFree: false, all },
      { ...all, country: 'de', isFree: true, all, gpuClasses: [] },
    )
    const us = { cpu: 4, memory: 8_192, storageAmount: 2 ** 30, countryCodes: ['us'] } as const
    const cpu = await sdk.organizations.getCpuAvailability('acme', { ...us, countryCodes: ['us'] })
    expect(cpu.data).to.deep.equal({ availableCpuBatch: 8, onCallCpu: 16 })
    const gpu = await sdk.organizations.getGpuAvailability('acme', { gpuClasses })
    expect(gpu.data).to.include({ availableGpuHigh: 1, availableGpuBatch: 1, onCallGpu: 3 })
    const large = await sdk.organizations.getCpuAvailability('acme', { cpu: 9 })
    expect(large.data).to.deep.equal({ availableCpuBatch: 0, onCallCpu: 0 })
    await problemOf(sdk.organizations.getGpuAvailability('acme', { gpuClasses: ['4090'] }), 400)
    await problemOf(sdk.organizations.getCpuAvailability('globex', {}), 404)
  })

  it('lists GPU classes and quotas', async () => {
    const { data } = await sdk.organizationData.listGpuClasses('acme')
    expect(data?.items.length).to.be.within(1, 100)
    const quotas = await sdk.quotas.getQuotas('acme')
    expect(quotas.data?.containerGroupsQuotas.containerReplicasUsed).to.equal(0)
    await problemOf(sdk.organizationData.listGpuClasses('globex'), 404)
    await problemOf(sdk.quotas.getQuotas('globex'), 404)
  })

  it('types errors as problems', async () => {
    const { containerGroups } = sdk
    const container = { ...request.container, image: 'NOT AN IMAGE' }
    const wrong = { ...request, container }
    await problemOf(containerGroups.createContainerGroup('acme', 'web', wrong), 400)
    await problemOf(containerGroups.getContainerGroup('acme', 'web', 'nope'), 404)
    await problemOf(containerGroups.updateContainerGroup('acme', 'web', 'nope', {}), 404)
    await problemOf(containerGroups.deleteContainerGroup('acme', 'web', 'nope'), 404)
    await unlistedOf(containerGroups.startContainerGroup('acme', 'web', 'nope'), 404)
    await unlistedOf(containerGroups.stopContainerGroup('acme', 'web', 'nope'), 404)
    await containerGroups.createContainerGroup('acme', 'web', request)
    await unlistedOf(containerGroups.createContainerGroup('acme', 'web', request), 409)
  })

  async function scopeOf(organization: string) {
    const caller = api.tenants.authenticate(api.foreignKey, 'read')
    expect(caller).not.to.equal(undefined)
    if (!caller) throw new Error('no caller')
    return api.tenants.scope(caller, organization, 'web')
  }
})

/** Published by another tenant than the one that calls. */
const endpoint = {
  name: 'transcribe',
  queue: 'globex/web/models',
  display_name: 'Transcribe',
  description: 'Speech to text',
  icon_url: 'https://icons.example/1.png',
  input_schema: '{}',
  output_schema: '{}',
  price_description: 'free',
  readme: 'Send a URL.',
}
