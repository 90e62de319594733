/** What a registry sends is believed only when its hash, its length and its platform are right. */
import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { errorCode } from '../../protocol/errors.ts'
import { failure } from '../oci/image-source.conformance.ts'
import { WrongBlobError } from './errors.ts'
import { type IngestBench, openIngestBench } from './ingest.fixture.ts'

const { signal } = new AbortController()

describe('ingest of what is not what was asked for', function () {
  this.timeout(20_000)
  let bench: IngestBench
  beforeEach(async () => {
    bench = await openIngestBench()
  })
  afterEach(() => bench.close())

  it('refuses wrong bytes, says of which blob, and keeps nothing of them', async () => {
    const layer = randomBytes(300_000)
    const request = bench.publish([layer, randomBytes(1_000)])
    const { digest } = request.blobs[1]!
    const changed = Uint8Array.from(layer)
    changed[290_000]! ^= 1
    bench.registry.blobs.set(digest, changed)
    const both = await Promise.all(
      [1, 2].map(() => failure(bench.ingester.ingest(request, { signal }))),
    )
    for (const error of both) {
      expect(error).to.be.instanceOf(WrongBlobError)
      expect((error as WrongBlobError).digest).to.equal(digest)
    }
    bench.registry.blobs.set(digest, layer)
    const { bundle, registryBytes } = await bench.ingester.ingest(request, { signal })
    expect(registryBytes).to.be.at.least(layer.length)
    expect(Buffer.compare((await bench.read(bundle, request))[1]!, layer)).to.equal(0)
  })

  it('refuses a blob of another length', async () => {
    const layer = randomBytes(100_000)
    const request = bench.publish([layer])
    for (const wrong of [layer.subarray(1), Buffer.concat([layer, randomBytes(1)])]) {
      bench.registry.blobs.set(request.blobs[1]!.digest, wrong)
      const error = await failure(bench.ingester.ingest(request, { signal }))
      expect(errorCode(error)).to.equal('DIGEST_MISMATCH')
    }
  })

  it('refuses an image for another machine before it reads its layers', async () => {
    const request = bench.publish([randomBytes(1_000)], { architecture: 'arm64' })
    const error = await failure(bench.ingester.ingest(request, { signal }))
    expect(errorCode(error)).to.equal('PLATFORM_NOT_FOUND')
    expect(bench.readsOf(request.blobs[1]!.digest)).to.equal(0)
  })
})
