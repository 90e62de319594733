/** What the engine asks of Docker, recorded by a Docker that only answers what a test scripts. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { errorCode } from '../../protocol/errors.ts'
import { type LogFields, silentLogger } from '../../protocol/log/index.ts'
import { createDockerEngine, type DockerEngineInit } from './docker-engine.ts'
import { testNode, testSpec } from './engine.conformance.ts'
import type { ContainerSpec } from './engine.ts'
import { EngineError } from './errors.ts'
import { containerLabels } from './labels.ts'

const digest = `sha256:${'cd'.repeat(32)}` as ContainerSpec['image']
const source = { reference: `127.0.0.1:4000/bundle@${digest}`, username: 'u', password: 'p' }
const endpoint = { image: digest, source }
const options = { signal: new AbortController().signal }

type Asked = Readonly<{ what: string; body: string }>

describe('node/engine: what Docker is asked', () => {
  let folder: string
  let server: Server
  let asked: Asked[]
  /** `METHOD /path` (a prefix) → status and answer; the first that fits. */
  let script: [string, number, unknown][]
  const warned: LogFields[] = []

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'potluck-docker-'))
    asked = []
    script = []
    warned.length = 0
    server = createServer(async (request, response) => {
      let body = ''
      for await (const piece of request) body += piece
      const what = `${request.method} ${decodeURIComponent(request.url ?? '')}`
      asked.push({ what, body })
      const [, status, answer] = script.find(([prefix]) => what.startsWith(prefix)) ?? ['', 0, '']
      if (status === 0) return // Never answered.
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(status === 204 ? undefined : JSON.stringify(answer))
    })
    server.listen(join(folder, 'sock'))
    await once(server, 'listening')
  })
  afterEach(async () => {
    server.closeAllConnections()
    server.close()
    await rm(folder, { recursive: true })
  })

  function engineWith(
    init: Partial<DockerEngineInit> = {},
    toolkit: string | undefined = undefined,
    verify = async (): Promise<void> => {},
  ) {
    const logger = {
      ...silentLogger,
      warn: (fields: LogFields) => {
        warned.push(fields)
      },
    }
    return createDockerEngine(
      { socketPath: join(folder, 'sock'), node: testNode, managed: true, ...init },
      {
        logger,
        isolation: { ensure: async () => {}, verify },
        toolkitVersion: async () => toolkit,
      },
    )
  }

  function inspected(spec: ContainerSpec, status = 'running') {
    return {
      Id: 'c1',
      State: {
        Status: status,
        Running: status === 'running',
        OOMKilled: false,
        Pid: 1,
        ExitCode: 0,
      },
      Config: { Labels: containerLabels(spec) },
      NetworkSettings: { Networks: { [`potluck-${spec.instance}`]: { Gateway: '198.18.0.1' } } },
    }
  }

  function goodDocker(spec: ContainerSpec): [string, number, unknown][] {
    return [
      ['GET /containers/json', 200, []],
      ['GET /networks', 200, []],
      ['POST /networks/create', 201, { Id: 'n1' }],
      ['GET /images/json', 200, []],
      [
        'GET /version',
        200,
        { Version: '20.10.24', Components: [{ Name: 'runc', Version: '1.1' }] },
      ],
      ['GET /info', 200, { Driver: 'overlay2', DriverStatus: [], DockerRootDir: '/x' }],
      ['POST /containers/create', 201, { Id: 'c1', Warnings: ['no blkio weight'] }],
      ['POST /containers/c1/start', 204, ''],
      ['GET /containers/c1/json', 200, inspected(spec)],
      ['DELETE', 204, ''],
    ]
  }

  const body = (prefix: string): Record<string, unknown> =>
    JSON.parse(asked.find(({ what }) => what.startsWith(prefix))?.body ?? '{}')

  it('a network of its own: no ICC, no IPv6, a name that the firewall knows', async () => {
    const spec = testSpec(endpoint)
    script = goodDocker(spec)
    await engineWith().run(spec, options)
    const network = body('POST /networks/create')
    expect(network).to.deep.include({ EnableIPv6: false, Driver: 'bridge', Attachable: false })
    expect(network.Options).to.have.property('com.docker.network.bridge.enable_icc', 'false')
    const { Options } = network as { Options: Record<string, string> }
    expect(Options['com.docker.network.bridge.name']).to.match(/^plk[0-9a-f]{10}$/)
    expect(network.Labels).to.include({ 'potluck.node': testNode })
  })

  it('keeps Env out of addresses, and tells what Docker dropped', async () => {
    const spec = testSpec(endpoint, { env: { TOKEN: 'CANARY-1' } })
    script = goodDocker(spec)
    await engineWith().run(spec, options)
    const create = asked.find(({ what }) => what.startsWith('POST /containers/create'))
    expect(create?.what).to.equal(`POST /containers/create?name=potluck-${spec.instance}`)
    expect(create?.body).to.contain('TOKEN=CANARY-1')
    expect(warned).to.deep.equal([{ warnings: ['no blkio weight'] }])
  })

  it('asks for the allocated GPU where the toolkit is fixed, and nothing where it is not', async () => {
    const { limits } = testSpec(endpoint)
    const spec = testSpec(endpoint, { limits: { ...limits, gpuUuids: ['GPU-7'] } })
    script = goodDocker(spec)
    const refused: unknown = await engineWith({}, '1.17.7')
      .run(spec, options)
      .catch((error: unknown) => error)
    expect(errorCode(refused)).to.equal('GPU_UNAVAILABLE')
    expect(asked).to.deep.equal([])
    await engineWith({}, '1.17.8').run(spec, options)
    const { HostConfig } = body('POST /containers/create') as {
      HostConfig: { DeviceRequests: unknown }
    }
    expect(HostConfig.DeviceRequests).to.deep.equal([
      { Driver: 'nvidia', DeviceIDs: ['GPU-7'], Capabilities: [['gpu', 'compute', 'utility']] },
    ])
  })

  it('refuses env on the chef’s own engine unless the operator allows it', async () => {
    const spec = testSpec(endpoint, { env: { TOKEN: 'CANARY-2' } })
    script = goodDocker(spec)
    const failure: unknown = await engineWith({ managed: false })
      .run(spec, options)
      .catch((error: unknown) => error)
    expect(errorCode(failure)).to.equal('ENV_NOT_ALLOWED')
    expect(String(failure)).not.to.contain('CANARY')
    expect(asked).to.deep.equal([])
    await engineWith({ managed: false, allowEnvOnHostEngine: true }).run(spec, options)
    const identity = { SALAD_MACHINE_ID: 'who it is is no secret' }
    await engineWith({ managed: false }).run(testSpec(endpoint, { identity }), options)
    expect(asked.at(-1)).to.not.equal(undefined)
  })

  it('removes what it made when the isolation is not proved', async () => {
    const spec = testSpec(endpoint)
    const listed = { Id: 'c1', Labels: containerLabels(spec) }
    script = goodDocker(spec)
    const engine = engineWith({}, undefined, async () => {
      // From now on Docker lists what was made.
      script.unshift(['GET /containers/json', 200, [listed]])
      const network = { Id: 'n1', Name: 'n', Labels: containerLabels(spec) }
      script.unshift(['GET /networks', 200, [network]])
      throw new EngineError('ENGINE_REFUSED', 'it answered')
    })
    const failure: unknown = await engine.run(spec, options).catch((error: unknown) => error)
    expect(errorCode(failure)).to.equal('ISOLATION_FAILED')
    const deleted = asked.filter(({ what }) => what.startsWith('DELETE')).map(({ what }) => what)
    expect(deleted).to.deep.equal([
      'DELETE /containers/c1?force=true&v=true',
      'DELETE /networks/n1',
    ])
  })

  it('never touches a container that is another’s, whatever id it is given', async () => {
    const spec = testSpec(endpoint)
    const foreign = inspected(spec)
    const labels = { ...foreign.Config.Labels, 'potluck.node': 'another' }
    script = [
      ['GET /containers/json', 200, [{ Id: 'c1', Labels: labels }]],
      ['GET /containers/c1/json', 200, { ...foreign, Config: { Labels: labels } }],
      ['GET /networks', 200, [{ Id: 'n1', Name: 'n', Labels: { 'potluck.node': 'another' } }]],
    ]
    const engine = engineWith()
    expect(await engine.list(options)).to.deep.equal([])
    await engine.remove('c1', { ...options, graceMs: 0 })
    for (const call of [
      engine.usage('c1', options),
      engine.logTail('c1', 1, options),
      engine.restart('c1', options),
      engine.waitExit('c1', options),
    ]) {
      expect(errorCode(await call.catch((error: unknown) => error))).to.equal('CONTAINER_GONE')
    }
    expect(asked.filter(({ what }) => !what.startsWith('GET'))).to.deep.equal([])
  })

  it('removes only images of its own endpoint, by reference', async () => {
    const chefs = [`registry.test/app@${digest}`, `127.0.0.1:5000/mine@${digest}`]
    script = [
      ['GET /images/json', 200, [{ Id: 'i1', RepoDigests: [...chefs, source.reference] }]],
      ['DELETE', 200, []],
    ]
    const engine = engineWith()
    expect(await engine.images(options)).to.deep.equal([digest])
    await engine.removeImage(digest, options)
    const deleted = asked.filter(({ what }) => what.startsWith('DELETE')).map(({ what }) => what)
    expect(deleted).to.deep.equal([`DELETE /images/${source.reference}`])
  })

  it('counts volumes as what the container wrote', async () => {
    const spec = testSpec(endpoint)
    const mounts = { Mounts: [{ Type: 'volume', Name: 'v1' }], SizeRw: 100 }
    const volumes = ['v1', 'v2'].map((Name) => ({ Name, UsageData: { Size: 11 } }))
    script = [
      ['GET /containers/c1/json', 200, { ...inspected(spec), ...mounts }],
      ['GET /system/df', 200, { Volumes: volumes }],
    ]
    expect(await engineWith().usage('c1', options)).to.deep.equal({ storageBytes: 111 })
    expect(asked[0]?.what).to.contain('size=true')
  })

  it('fails in our own words: no engine, nonsense, a refusal', async () => {
    const gone = engineWith({ socketPath: join(folder, 'none') })
    const code = async (call: Promise<unknown>) => errorCode(await call.catch((it: unknown) => it))
    expect(await code(gone.list(options))).to.equal('ENGINE_UNREACHABLE')
    script = [['GET /containers/json', 200, { message: 'not a list' }]]
    expect(await code(engineWith().list(options))).to.equal('ENGINE_BAD_ANSWER')
    script = [['GET /containers/json', 500, { message: 'disk full' }]]
    const refusal: unknown = await engineWith()
      .list(options)
      .catch((error: unknown) => error)
    expect(errorCode(refusal)).to.equal('ENGINE_REFUSED')
    expect(String(refusal)).to.contain('disk full')
  })

  it('gives up a call that hangs, by the caller’s signal', async () => {
    const cancel = new AbortController()
    const reason = new Error('no longer wanted')
    const call = engineWith().list({ signal: cancel.signal })
    await once(server, 'request')
    cancel.abort(reason)
    expect(await call.catch((error: unknown) => error)).to.equal(reason)
  })
})
