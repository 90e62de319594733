/** From a request to a bundle that is stored, announced and known, and to its end. */
import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { errorCode } from '../../protocol/errors.ts'
import { failure } from '../oci/image-source.conformance.ts'
import { digestOf } from '../oci/index.ts'
import { type IngestBench, openIngestBench } from './ingest.fixture.ts'
import type { IngestProgress } from './ingester.ts'

const { signal } = new AbortController()

describe('ingest', function () {
  this.timeout(20_000)
  let bench: IngestBench
  beforeEach(async () => {
    bench = await openIngestBench()
  })
  afterEach(() => bench.close())

  it('makes a bundle that opens to what the registry has, and announces it', async () => {
    const layers = [randomBytes(500_000), randomBytes(1), Buffer.alloc(0)]
    const request = bench.publish(layers)
    const { bundle, blobIds, registryBytes } = await bench.ingester.ingest(request, { signal })
    const sizes = request.blobs.map(({ sizeBytes }) => sizeBytes)
    expect(registryBytes).to.equal(sizes.reduce((a, b) => a + b, 0))
    expect(blobIds).to.have.length(4)
    const opened = await bench.read(bundle, request)
    expect(opened.map(digestOf)).to.deep.equal(request.blobs.map(({ digest }) => digest))
    expect(bench.ingester.bundles()).to.deep.equal([bundle])
    expect(bench.announced).to.deep.equal([bundle])
  })

  it('takes an image that lists one layer twice', async () => {
    const layer = randomBytes(1_000)
    const { blobs, ...rest } = bench.publish([layer, layer])
    const request = { ...rest, blobs: blobs.slice(0, 2) }
    const { blobIds } = await bench.ingester.ingest(request, { signal })
    expect(blobIds).to.have.length(2)
  })

  it('says how far it is', async () => {
    const request = bench.publish([randomBytes(200_000), randomBytes(100_000)])
    let progress: (() => IngestProgress) | undefined
    const seen: number[] = []
    bench.registry.setFault(() => {
      if (progress) seen.push(progress().bytesDone)
      return false
    })
    await bench.ingester.ingest(request, {
      signal,
      onStart(now) {
        progress = now
      },
    })
    const total = request.blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    expect(progress?.().bytesTotal).to.equal(total)
    expect(seen[0]).to.equal(0)
    expect(seen.at(-1)).to.be.at.least(request.blobs[0]!.sizeBytes)
  })

  it('goes on with what an earlier life of the cache had, and knows its bundles', async () => {
    const request = bench.publish([randomBytes(300_000)])
    const { bundle } = await bench.ingester.ingest(request, { signal })
    const { ingester } = await bench.restart()
    expect(ingester.bundles()).to.deep.equal([bundle])
    const again = await ingester.ingest(request, { signal })
    expect(again).to.deep.include({ bundle, registryBytes: 0 })
    for (const { digest } of request.blobs) expect(bench.readsOf(digest)).to.equal(1)
  })

  it('removes a dropped bundle, and keeps the blobs that another lists', async () => {
    const small = await openIngestBench({}, { budgetBytes: 1_500_000 })
    try {
      const [first, second] = [1, 2].map(() => small.publish([randomBytes(1_000_000)]))
      const { bundle } = await small.ingester.ingest(first!, { signal })
      const error = await failure(small.ingester.ingest(second!, { signal }))
      expect(errorCode(error)).to.equal('BUDGET_EXCEEDED')
      const other = small.publish([randomBytes(1_000)])
      const mixed = { ...first!, blobs: [other.blobs[0]!, first!.blobs[1]!] }
      await small.ingester.ingest(mixed, { signal })
      small.ingester.drop(bundle)
      expect(small.ingester.bundles()).to.have.length(1)
      expect((await small.ingester.ingest(mixed, { signal })).registryBytes).to.equal(0)
      expect(small.store.get(bundle)).to.equal(undefined)
      small.ingester.drop(small.ingester.bundles()[0]!)
      await small.ingester.ingest(second!, { signal })
      expect(small.ingester.bundles()).to.have.length(1)
      const huge = small.publish([randomBytes(1_600_000)])
      expect(errorCode(await failure(small.ingester.ingest(huge, { signal })))).to.equal(
        'BUDGET_EXCEEDED',
      )
      expect(small.readsOf(huge.blobs[0]!.digest)).to.equal(0)
    } finally {
      await small.close()
    }
  })
})
