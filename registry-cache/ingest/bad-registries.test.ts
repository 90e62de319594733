/** Registries that break off, drip or lie: what they cost whoever asked them, and nobody else. */
import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { expect } from 'chai'
import { cutFor } from '../../protocol/bundle/index.ts'
import { errorCode } from '../../protocol/errors.ts'
import type { Digest } from '../../protocol/ids.ts'
import { sendBlob, startFakeRegistry } from '../oci/fake-registry.ts'
import { failure } from '../oci/image-source.conformance.ts'
import { type IngestBench, openIngestBench } from './ingest.fixture.ts'
import type { IngestRequest } from './ingester.ts'

const { signal } = new AbortController()

describe('ingest from bad registries', function () {
  this.timeout(20_000)
  let bench: IngestBench
  beforeEach(async () => {
    bench = await openIngestBench()
  })
  afterEach(() => bench.close())

  it('goes on where it was after a registry that broke off for good', async () => {
    const layer = randomBytes(2_000_000)
    const request = bench.publish([layer])
    const { digest } = request.blobs[1]!
    const asked: number[] = []
    let broken = true
    bench.registry.setFault(({ url, headers }, response) => {
      if (!url?.endsWith(digest)) return false
      const from = Number(/\d+/.exec(headers.range ?? '0')?.[0])
      asked.push(from)
      if (!broken) return false
      if (from > 0) response.destroy()
      else {
        response.setHeader('content-length', layer.length)
        response.write(layer.subarray(0, 1_500_000), () => response.destroy())
      }
      return true
    })
    const error = await failure(bench.ingester.ingest(request, { signal }))
    expect(errorCode(error)).to.equal('REGISTRY_UNREACHABLE')
    broken = false
    const { bundle } = await bench.ingester.ingest(request, { signal })
    expect(Buffer.compare((await bench.read(bundle, request))[1]!, layer)).to.equal(0)
    const { chunkSizeBytes } = cutFor(layer.length)
    expect(asked.at(-1)).to.equal(Math.floor(1_500_000 / chunkSizeBytes) * chunkSizeBytes)
  })

  it('ends a read that drips, and keeps what came', async () => {
    const slow = await openIngestBench({ minProgressMs: 80, minProgressBytes: 100_000 })
    try {
      const layer = randomBytes(1_000_000)
      const request = slow.publish([layer])
      slow.registry.setFault(({ url }, response) => {
        if (!url?.endsWith(request.blobs[1]!.digest)) return false
        response.setHeader('content-length', layer.length)
        response.write(layer.subarray(0, 300_000))
        return true
      })
      const error = await failure(slow.ingester.ingest(request, { signal }))
      expect(errorCode(error)).to.equal('REGISTRY_TOO_SLOW')
      slow.registry.setFault(undefined)
      const { registryBytes } = await slow.ingester.ingest(request, { signal })
      expect(registryBytes).to.equal(1_000_000 - 4 * 65_536)
    } finally {
      await slow.close()
    }
  })

  it('reads from other registries while one drips on all it is asked for', async () => {
    const dripping = await startFakeRegistry()
    const leaver = new AbortController()
    try {
      const slow = Array.from({ length: 5 }, () => {
        const request = bench.publish(Array.from({ length: 3 }, () => randomBytes(1_000)))
        return { ...request, repository: `${dripping.host}/evil/app` }
      })
      const dripped = slow.flatMap(({ blobs }) => blobs.slice(1).map(({ digest }) => digest))
      const enough = Promise.withResolvers<void>()
      let asked = 0
      dripping.setFault(({ url = '' }, response) => {
        const digest = url.slice(url.lastIndexOf('/') + 1) as Digest
        if (!dripped.includes(digest)) {
          const blob = bench.registry.blobs.get(digest)
          if (blob) sendBlob(response, blob)
          return blob !== undefined
        }
        asked += 1
        if (asked === 6) enough.resolve()
        response.setHeader('content-length', 1_000)
        response.write('x')
        return true
      })
      const pulls = slow.map((one) =>
        failure(bench.ingester.ingest(one, { signal: leaver.signal })),
      )
      await enough.promise
      await bench.ingester.ingest(bench.publish([randomBytes(1_000)]), { signal })
      expect(asked).to.equal(6)
      leaver.abort(new Error('enough'))
      await Promise.all(pulls)
    } finally {
      await dripping.close()
    }
  })

  it('wants more of a registry while others wait', async () => {
    const one = { blobsMax: 1, minProgressMs: 200, minProgressBytes: 1 }
    const crowded = await openIngestBench({ ...one, crowdedProgressBytes: 100_000 })
    const other = await startFakeRegistry()
    let timer: NodeJS.Timeout | undefined
    try {
      const request = crowded.publish([randomBytes(1_000_000)])
      const begun = Promise.withResolvers<void>()
      crowded.registry.setFault(({ url }, response) => {
        if (!url?.endsWith(request.blobs[1]!.digest)) return false
        response.setHeader('content-length', 1_000_000)
        timer = setInterval(() => response.write('x'), 20)
        begun.resolve()
        return true
      })
      const slow = failure(crowded.ingester.ingest(request, { signal }))
      await begun.promise
      const quick = crowded.publish([randomBytes(10)])
      for (const { digest } of quick.blobs) {
        other.blobs.set(digest, crowded.registry.blobs.get(digest)!)
      }
      await crowded.ingester.ingest({ ...quick, repository: `${other.host}/a/b` }, { signal })
      expect(errorCode(await slow)).to.equal('REGISTRY_TOO_SLOW')
    } finally {
      clearInterval(timer)
      await crowded.close()
      await other.close()
    }
  })

  describe('beside a tenant whose registry lies', () => {
    /** Another tenant's name for the same blobs: `evil` answers for them. */
    const evilOf = (request: IngestRequest, evil: (response: ServerResponse) => void) => {
      const { digest } = request.blobs[1]!
      bench.registry.setFault(({ url, headers }, response) => {
        if (!url?.includes('/evil/') || !url.endsWith(digest)) return false
        if (headers.range) response.destroy()
        else evil(response)
        return true
      })
      return { ...request, repository: request.repository.replace('acme', 'evil') }
    }

    it('does not go on with what the other sent, nor is blamed for it', async () => {
      const layer = randomBytes(2_000_000)
      const request = bench.publish([layer])
      const evil = evilOf(request, (response) => {
        response.setHeader('content-length', layer.length)
        response.write(randomBytes(1_500_000), () => response.destroy())
      })
      const error = await failure(bench.ingester.ingest(evil, { signal }))
      expect(errorCode(error)).to.equal('REGISTRY_UNREACHABLE')
      const { bundle } = await bench.ingester.ingest(request, { signal })
      expect(Buffer.compare((await bench.read(bundle, request))[1]!, layer)).to.equal(0)
    })

    it('asks in its own name when it waited for wrong bytes', async () => {
      const layer = randomBytes(300_000)
      const request = bench.publish([layer])
      const evil = evilOf(request, (response) => sendBlob(response, randomBytes(layer.length)))
      const [bad, good] = await Promise.allSettled([
        bench.ingester.ingest(evil, { signal }),
        bench.ingester.ingest(request, { signal }),
      ])
      expect(bad.status === 'rejected' && errorCode(bad.reason)).to.equal('DIGEST_MISMATCH')
      expect(good.status).to.equal('fulfilled')
    })

    it('asks in its own name when it waited for one that drips', async () => {
      await bench.close()
      bench = await openIngestBench({ minProgressMs: 80, minProgressBytes: 100_000 })
      const layer = randomBytes(300_000)
      const request = bench.publish([layer])
      const evil = evilOf(request, (response) => {
        response.setHeader('content-length', layer.length)
        response.write(randomBytes(70_000))
      })
      const [bad, good] = await Promise.allSettled([
        bench.ingester.ingest(evil, { signal }),
        bench.ingester.ingest(request, { signal }),
      ])
      expect(bad.status === 'rejected' && errorCode(bad.reason)).to.equal('REGISTRY_TOO_SLOW')
      expect(good.status).to.equal('fulfilled')
    })
  })
})
