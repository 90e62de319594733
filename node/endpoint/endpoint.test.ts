import { expect } from 'chai'
import { Agent, request } from 'undici'
import { sampleBlob, sampleBundle } from '../../protocol/bundle/sample-bundle.ts'
import {
  createTemporaryStore,
  type TemporaryStore,
} from '../../protocol/chunk-store/temporary-store.ts'
import type { Digest } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { openEndpoint, openPlainImage } from './index.ts'

const image = `sha256:${'e'.repeat(64)}` as Digest
const layerBytes = 300_000

describe('node/endpoint: an image while it arrives', () => {
  let folder: TemporaryStore
  let agent: Agent
  beforeEach(async () => {
    folder = await createTemporaryStore()
    agent = new Agent({ connections: 24 })
  })
  afterEach(async () => {
    await agent.destroy()
    await folder.remove()
  })

  async function open() {
    const blobs = [await sampleBlob(50, 'config'), await sampleBlob(layerBytes, 'layer')]
    const bundle = await sampleBundle(blobs)
    const stored = await (await folder.open()).add(bundle.descriptorBytes)
    const secrets = {
      manifest: Buffer.from('{}'),
      manifestDigest: image,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      blobs: blobs.map(({ id, key, digest, sizeBytes }) => ({
        ...{ id, key, digest, sizeBytes },
        mediaType: 'application/octet-stream',
      })),
    }
    let servedBytes = 0
    const plain = openPlainImage({
      ...{ secrets, source: stored },
      onServed: (bytes) => {
        servedBytes += bytes
      },
    })
    const endpoint = await openEndpoint({ image, plain }, { logger: silentLogger })
    const [host = ''] = endpoint.pull.reference.split('/')
    const login = Buffer.from(`${endpoint.pull.username}:${endpoint.pull.password}`)
    const ask = (headers: Record<string, string> = {}, method: 'GET' | 'HEAD' = 'GET') =>
      request(`http://${host}/v2/bundle/blobs/${blobs[1]?.digest}`, {
        ...{ dispatcher: agent, method },
        headers: { authorization: `Basic ${login.toString('base64')}`, ...headers },
      })
    const put = async (from: number, to: number): Promise<void> => {
      for (let chunk = from; chunk < to; chunk += 1) {
        await stored.put(chunk, bundle.chunks[chunk] ?? new Uint8Array())
      }
    }
    const layer = blobs[1]?.plaintext ?? new Uint8Array()
    return { endpoint, ask, put, layer, served: () => servedBytes }
  }

  it('answers the headers before a byte is here, and trickles', async () => {
    const { endpoint, ask, put, layer } = await open()
    const { statusCode, headers, body } = await ask()
    expect(statusCode).to.equal(200)
    expect(headers['content-length']).to.equal(String(layerBytes))
    const bytes = body.bytes()
    await put(1, 3)
    await put(3, 6)
    expect(Buffer.compare(await bytes, layer)).to.equal(0)
    await endpoint.close()
  })

  it('serves any single range on many connections at once, of what is here alone', async () => {
    const { endpoint, ask, put, layer } = await open()
    await put(2, 4) // bytes 65,536 to 196,608
    const ranges = Array.from({ length: 24 }, (_, n) => [70_000 + 5_000 * n, 74_999 + 5_000 * n])
    const answers = await Promise.all(
      ranges.map(async ([first, last]) => {
        const { statusCode, headers, body } = await ask({ range: `bytes=${first}-${last}` })
        expect(statusCode).to.equal(206)
        expect(headers['content-range']).to.equal(`bytes ${first}-${last}/${layerBytes}`)
        return await body.bytes()
      }),
    )
    for (const [n, bytes] of answers.entries()) {
      const [first = 0, last = 0] = ranges[n] ?? []
      expect(Buffer.compare(bytes, layer.subarray(first, last + 1))).to.equal(0)
    }
    expect((await ask({ range: 'bytes=300000-' })).statusCode).to.equal(416)
    await endpoint.close()
  })

  it('answers HEAD without a byte', async () => {
    const { endpoint, ask, served } = await open()
    const { statusCode, headers, body } = await ask({}, 'HEAD')
    expect(statusCode).to.equal(200)
    expect(headers).to.include({ 'content-length': String(layerBytes), 'accept-ranges': 'bytes' })
    expect((await body.bytes()).length).to.equal(0)
    expect(served()).to.equal(0)
    await endpoint.close()
  })
})
