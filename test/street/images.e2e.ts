import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import Docker from 'dockerode'
import {
  buildImage,
  buildIndex,
  demoImage,
  type Image,
  layerOfEntries,
  pushImage,
  randomLayer,
  smallImage,
} from '../../scripts/image/index.ts'
import { type Engine, startEngine } from '../../scripts/street/engine.ts'
import { countLeftovers, findLeftovers } from '../../scripts/street/leftovers.ts'
import { createProcesses, type Processes } from '../../scripts/street/processes.ts'
import { type Reach, reachInto } from '../../scripts/street/reach.ts'
import { type Registry, startRegistry } from '../../scripts/street/registry.ts'
import { runCommand } from '../../scripts/street/run-command.ts'
import { createRunFolder, type RunFolder } from '../../scripts/street/run-folder.ts'
import { createStreet, type Home, type Street } from '../../scripts/street/street.ts'

const credentials = { username: 'tenant', password: 'a password with: signs' }
const creds = `${credentials.username}:${credentials.password}`

describe('a real registry on loopback', function () {
  this.timeout(60_000)
  let run: RunFolder
  let processes: Processes
  let registry: Registry

  before(async () => {
    run = await createRunFolder()
    processes = createProcesses({ run })
    registry = await startRegistry({ credentials }, { processes, run })
  })
  after(async () => {
    await processes.stopAll()
    await rm(run.path, { recursive: true, force: true })
    expect(countLeftovers(await findLeftovers({ run }))).to.equal(0)
  })

  const push = (image: Parameters<typeof pushImage>[0], repository: string) =>
    pushImage(image, { registry: registry.url, repository, credentials })
  const skopeo = (...args: string[]) => runCommand(['skopeo', ...args])
  const inspect = async (repository: string, ...args: string[]) => {
    const reference = `docker://${registry.address}/${repository}`
    return await skopeo('inspect', '--tls-verify=false', '--creds', creds, ...args, reference)
  }

  it('refuses who has no password', async () => {
    const image = await smallImage()
    const error = await pushImage(image, { registry: registry.url, repository: 'no' }).catch(
      (e) => e,
    )
    expect(error).to.have.property('code', 'PUSH_FAILED')
    expect(error.fields.status).to.equal(401)
  })

  for (const format of ['oci', 'docker'] as const) {
    it(`holds a small image in ${format} media types, as skopeo sees it`, async () => {
      const image = await smallImage({ format })
      expect(image.blobBytes).to.be.below(4e6)
      expect(await push(image, `small-${format}`)).to.equal(image.digest)
      const seen = JSON.parse(await inspect(`small-${format}`))
      expect(seen.Digest).to.equal(image.digest)
      expect(seen.Layers).to.deep.equal(image.layers.map(({ digest }) => digest))
      const copy = `dir:${join(run.path, `copy-${format}`)}`
      await skopeo(
        ...['copy', '--src-tls-verify=false', '--src-creds', creds],
        ...[`docker://${registry.address}/small-${format}`, copy],
      )
    })
  }

  it('makes the same image twice, and shares the lower layer between versions', async () => {
    const [one, again, two] = [
      await smallImage(),
      await smallImage(),
      await smallImage({ version: 2 }),
    ]
    expect(again.digest).to.equal(one.digest)
    expect(two.digest).to.not.equal(one.digest)
    expect(two.layers[0]!.digest).to.equal(one.layers[0]!.digest)
  })

  it('holds an index of several platforms', async () => {
    const images: Image[] = []
    for (const architecture of ['arm64', 'amd64']) {
      const layer = await layerOfEntries([{ name: 'arch', data: architecture }])
      images.push(buildImage({ layers: [layer], platform: { os: 'linux', architecture } }))
    }
    const index = buildIndex(images)
    await push(index, 'several')
    expect(JSON.parse(await inspect('several', '--raw')).manifests).to.have.length(2)
    expect(JSON.parse(await inspect('several')).Architecture).to.equal('amd64')
  })

  it('holds incompressible layers, made anew at each reading', async () => {
    const layer = await randomLayer({ sizeBytes: 5e6, seed: 'a', canary: 'canary-7f3a' })
    expect(layer.sizeBytes).to.be.within(5e6, 5.02e6)
    await push(buildImage({ layers: [layer] }), 'random')
    expect(JSON.parse(await inspect('random')).Layers).to.deep.equal([layer.digest])
  })

  it('counts reads of each blob, and keeps what it has over a kill', async () => {
    const image = await smallImage()
    await push(image, 'counted')
    const before = registry.blobReads().get(image.layers[0]!.digest)?.reads ?? 0
    await registry.kill()
    await registry.start()
    await skopeo(
      ...['copy', '--src-tls-verify=false', '--src-creds', creds],
      ...[`docker://${registry.address}/counted`, `dir:${join(run.path, 'counted')}`],
    )
    const { digest, sizeBytes } = image.layers[0]!
    const reads = registry.blobReads().get(digest)!
    expect(reads.reads).to.equal(before + 1)
    const last = registry
      .accesses()
      .filter((access) => access.digest === digest)
      .at(-1)!
    expect(last).to.include({ method: 'GET', status: 200, bytes: sizeBytes })
    expect(last.userAgent).to.match(/skopeo|containers/)
  })
})

describe('a real engine at home', function () {
  this.timeout(120_000)
  let run: RunFolder
  let processes: Processes
  let street: Street
  let home: Home
  let registry: Registry
  let reach: Reach
  let engine: Engine
  let docker: Docker

  before(async () => {
    run = await createRunFolder()
    processes = createProcesses({ run })
    street = await createStreet({ run })
    home = await street.addHome({ label: 'home1' })
    // Docker takes plain HTTP from 127.0.0.0/8 alone; so the registry of this test is in the home.
    registry = await startRegistry(
      { namespace: home.namespace.path, credentials },
      { processes, run },
    )
    reach = await reachInto(home.namespace, { processes, run })
  })
  beforeEach(async () => {
    engine = await startEngine({ namespace: home.namespace, label: 'home1' }, { processes, run })
    docker = new Docker({ socketPath: engine.socket })
  })
  afterEach(() => engine.stop())
  after(async () => {
    await processes.stopAll()
    await street.dispose()
    await rm(run.path, { recursive: true, force: true })
    const left = await findLeftovers({ run, namespaces: street.namespaces.all() })
    expect(countLeftovers(left), JSON.stringify(left)).to.equal(0)
  })

  const start = async (image: Image): Promise<Docker.Container> => {
    const agent = reach.agent()
    const target = { registry: registry.url, repository: 'app', credentials, dispatcher: agent }
    await pushImage(image, target)
    await agent.close()
    const reference = `${registry.address}/app@${image.digest}`
    const authconfig = { ...credentials, serveraddress: registry.address }
    const stream = await docker.pull(reference, { authconfig })
    await new Promise<void>((resolve, reject) => {
      docker.modem.followProgress(stream, (error) => (error ? reject(error) : resolve()))
    })
    const container = await docker.createContainer({
      Image: reference,
      Env: ['SECRET=value'],
      HostConfig: { Init: true },
    })
    await container.start()
    return container
  }
  const firstLine = async (container: Docker.Container): Promise<string> => {
    const log = await container.logs({ follow: true, stdout: true, stderr: true })
    const [chunk] = await once(log, 'data')
    return chunk.subarray(8).toString()
  }
  const pageOf = async (container: Docker.Container): Promise<string> => {
    const { NetworkSettings } = await container.inspect()
    return await fetchFromHome(home, `http://${NetworkSettings.Networks.bridge!.IPAddress}:8080/`)
  }

  it('pulls and runs the small image, and leaves nothing when stopped', async () => {
    const container = await start(await smallImage())
    const line = await firstLine(container)
    expect(line).to.match(/^potluck: line 1 of \w{12}, environment: .*SECRET/)
    expect(line).to.not.contain('value')
    expect(await pageOf(container)).to.contain('Hello from Potluck')
    const startedMs = performance.now()
    await container.stop()
    expect(performance.now() - startedMs).to.be.below(5_000) // it heeds SIGTERM
    await engine.stop()
    const left = await findLeftovers({ run: { name: `${run.name}-home1`, path: engine.folder } })
    expect(countLeftovers({ ...left, namespaces: [] }), JSON.stringify(left)).to.equal(0)
  })

  it('pulls and runs an image of more than 100 MB', async function () {
    this.timeout(300_000) // its Debian is made the first time
    const image = await demoImage({ cacheFolder: '.potluck/cache' })
    expect(image.blobBytes).to.be.greaterThan(105e6)
    expect(image.layers).to.have.length(3)
    const container = await start(image)
    expect(await firstLine(container)).to.match(
      /^potluck: \w{12} serves on port 8080 with Node v24/,
    )
    expect(await pageOf(container)).to.contain('Hello from Potluck')
    const reads = registry.blobReads()
    for (const { digest, sizeBytes } of image.layers) {
      expect(reads.get(digest)).to.deep.equal({ reads: 1, bytes: sizeBytes })
    }
  })

  it('leaves nothing when it was killed with a container running', async () => {
    await start(await smallImage())
    engine.dockerd.kill('SIGKILL')
    engine.containerd.kill('SIGKILL')
    await Promise.all([engine.dockerd.exited, engine.containerd.exited])
    const own = { name: `${run.name}-home1`, path: engine.folder }
    expect((await findLeftovers({ run: own })).processes.length).to.be.greaterThan(1)
    await engine.stop()
    const left = await findLeftovers({ run: own })
    expect(countLeftovers({ ...left, namespaces: [] }), JSON.stringify(left)).to.equal(0)
  })
})

async function fetchFromHome({ namespace }: Home, url: string): Promise<string> {
  return await namespace.script(`exec "${process.execPath}" -e '
    fetch("${url}", { signal: AbortSignal.timeout(5000) })
      .then((reply) => reply.text()).then(console.log).then(() => process.exit())'`)
}
