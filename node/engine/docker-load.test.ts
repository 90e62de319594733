/** What Docker is sent when it cannot pull, recorded by a Docker that answers what a test says. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { errorCode } from '../../protocol/errors.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { createDockerEngine } from './docker-engine.ts'
import { testNode } from './engine.conformance.ts'
import { fakeArchive } from './fake-archive.ts'
import { digestOf, type FakeImage } from './fake-endpoint.ts'

const options = { signal: new AbortController().signal }
const layers = [Buffer.alloc(2_000, 1), Buffer.alloc(3_000, 2)]

/** An image whose layers unpack to `d1` and `d2`, one of `claimedBytes`. */
function image(claimedBytes?: number): FakeImage {
  const config = Buffer.from(JSON.stringify({ rootfs: { diff_ids: ['d1', 'd2'] } }))
  const describe = (bytes: Uint8Array) => ({ digest: digestOf(bytes), size: bytes.length })
  const [first, second] = layers.map(describe)
  const listed = [{ ...first, ...(claimedBytes ? { size: claimedBytes } : {}) }, second]
  const manifest = Buffer.from(JSON.stringify({ config: describe(config), layers: listed }))
  const blobs = new Map([config, ...layers].map((bytes) => [digestOf(bytes) as string, bytes]))
  return { mediaType: 'application/json', manifest, blobs }
}

describe('node/engine: an image sent to Docker', () => {
  let folder: string
  let server: Server
  let info: object
  let held: readonly string[]
  let answer: (tags: string) => string
  /** The archives that came. */
  let loads: string[]

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'potluck-load-'))
    info = { Driver: 'overlay2', DockerRootDir: folder }
    held = []
    loads = []
    answer = () => '{"stream":"Loaded image"}\n'
    let tag = ''
    server = createServer(async (request, response) => {
      const path = request.url ?? ''
      let body = ''
      for await (const piece of request.setEncoding('latin1')) body += piece
      const send = (value: unknown): void => void response.end(JSON.stringify(value))
      if (path.startsWith('/info')) send(info)
      else if (path.startsWith('/images/json')) send([{ Id: 'i', RepoTags: tag ? [tag] : [] }])
      else if (path.startsWith('/images/i/json')) send({ RootFS: { Layers: held } })
      else if (path.startsWith('/images/load')) {
        loads.push(body)
        tag = /"RepoTags":\["([^"]+)"/.exec(body)?.[1] ?? ''
        response.end(answer(tag))
      }
    })
    server.listen(join(folder, 'sock'))
    await once(server, 'listening')
  })
  afterEach(async () => {
    server.closeAllConnections()
    server.close()
    await rm(folder, { recursive: true })
  })

  const load = (archive: FakeImage) =>
    createDockerEngine(
      { socketPath: join(folder, 'sock'), node: testNode, managed: false },
      { logger: silentLogger, isolation: { ensure: async () => {}, verify: async () => {} } },
    ).load(fakeArchive(archive), options)
  const has = (body: string | undefined, layer: Uint8Array | undefined): boolean =>
    layer !== undefined && (body ?? '').includes(Buffer.from(layer).toString('latin1'))

  it('has all of it, under a tag that says the manifest’s digest', async () => {
    const reference = await load(image())
    expect(reference).to.equal(`127.0.0.1:1/bundle:${digestOf(image().manifest).replace(':', '-')}`)
    expect(loads.map((body) => layers.map((layer) => has(body, layer)))).to.deep.equal([
      [true, true],
    ])
  })

  it('leaves out what the engine has, and sends it after all when it is not there', async () => {
    held = ['d1', 'other']
    await load(image())
    expect(has(loads[0], layers[0])).to.equal(false)
    answer = () => '{"errorDetail":{"message":"no such file"},"error":"no such file"}\n'
    const failure = await load(image()).catch((error: unknown) => error)
    expect(errorCode(failure)).to.equal('LOAD_FAILED')
    expect(loads.map((body) => has(body, layers[0]))).to.deep.equal([false, false, true])
  })

  it('sends everything to an engine whose store wants it so', async () => {
    held = ['d1', 'd2']
    info = { ...info, DriverStatus: [['driver-type', 'io.containerd.snapshotter.v1']] }
    await load(image())
    expect(has(loads[0], layers[0])).to.equal(true)
  })

  it('is not begun where there is no room for it twice', async () => {
    const failure = await load(image(2 ** 52)).catch((error: unknown) => error)
    expect(errorCode(failure)).to.equal('ENGINE_DISK_SHORT')
    expect(loads).to.deep.equal([])
  })
})
