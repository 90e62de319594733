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

describe("coordinator/api: SaladCloud's SDK", () => {
  let api: TestApi
  let sdk: SaladCloudSdk
  beforeEach(async () => {
    api = await startApi()
    await api.app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = api.app.addresses()[0] as AddressInfo
    const baseUrl = `http://127.0.0.1:${port}/api/public`
    sdk = new SaladCloudSdk({
      apiKey: api.key,
      baseUrl,
      retry: { attempts: 1 },
      validation: { responseValidation: true },
    })
  })
  afterEach(() => api.app.close())

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

  it('lists and gets instances', async () => {
    const { containerGroups } = sdk
    await containerGroups.createContainerGroup('acme', 'web', request)
    const group = api.groups.all()[0]!
    api.view.running.set(group.id, [fakeInstance(0), fakeInstance(1, { state: 'downloading' })])
    const { data } = await containerGroups.listContainerGroupInstances('acme', 'web', 'hello')
    expect(data?.instances.map(({ state }) => state)).to.deep.equal(['running', 'downloading'])
    const id = data?.instances[1]?.id ?? ''
    const one = await containerGroups.getContainerGroupInstance('acme', 'web', 'hello', id)
    expect(one.data).to.include({ id, pullingProgress: 33.3, ready: true })
  })

  it('lists GPU classes and quotas', async () => {
    const { data } = await sdk.organizationData.listGpuClasses('acme')
    expect(data?.items.length).to.be.within(1, 100)
    const quotas = await sdk.quotas.getQuotas('acme')
    expect(quotas.data?.containerGroupsQuotas.containerReplicasUsed).to.equal(0)
  })

  it('types errors as problems', async () => {
    const { containerGroups } = sdk
    const container = { ...request.container, image: 'NOT AN IMAGE' }
    const failing = [
      [400, () => containerGroups.createContainerGroup('acme', 'web', { ...request, container })],
      [404, () => containerGroups.getContainerGroup('acme', 'web', 'nope')],
    ] as const
    for (const [status, call] of failing) {
      const error = await call().then(
        () => expect.fail('did not throw'),
        (reason) => reason,
      )
      expect(error.constructor.name).to.equal('ProblemDetails')
      expect(error).to.include({ status })
      for (const member of ['detail', 'instance', 'title', 'type']) {
        expect(error[member], member).to.be.a('string').and.not.equal('')
      }
    }
  })
})
