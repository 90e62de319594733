import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { expect } from 'chai'
import { cutFor } from '../../protocol/bundle/index.ts'
import { errorCode } from '../../protocol/errors.ts'
import type { Digest } from '../../protocol/ids.ts'
import { sendBlob, startFakeRegistry } from '../oci/fake-registry.ts'
import { createCredentials, digestOf } from '../oci/index.ts'
import { WrongBlobError } from './errors.ts'
import { type IngestBench, openIngestBench } from './ingest.fixture.ts'
import type { IngestProgress, IngestRequest } from './ingester.ts'

const { signal } = new AbortController()
const fault = async (promise: Promise<unknown>): Promise<unknown> =>
  await promise.then(
    () => undefined,
    (error: unknown) => error,
  )

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

  it('reads each blob once, though a hundred ask at once and others ask later', async () => {
    const request = bench.publish([randomBytes(300_000), randomBytes(200_000), randomBytes(9)])
    const all = Array.from({ length: 100 }, () => bench.ingester.ingest(request, { signal }))
    const results = await Promise.all(all)
    results.push(await bench.ingester.ingest(request, { signal }))
    expect(new Set(results.map(({ bundle }) => bundle)).size).to.equal(1)
    for (const { digest } of request.blobs) expect(bench.readsOf(digest)).to.equal(1)
    const bytes = results.reduce((sum, { registryBytes }) => sum + registryBytes, 0)
    expect(bytes).to.equal(request.blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))
    expect(bench.announced).to.have.length(1)
  })

  it('reads the blobs that two images share once, at once or one after the other', async () => {
    const base = randomBytes(400_000)
    const versions = [1, 2].map(() => bench.publish([base, randomBytes(100_000)]))
    await Promise.all(versions.map((request) => bench.ingester.ingest(request, { signal })))
    const third = bench.publish([base, randomBytes(70_000)])
    const { registryBytes } = await bench.ingester.ingest(third, { signal })
    expect(bench.readsOf(digestOf(base))).to.equal(1)
    const config = third.blobs[0]!.sizeBytes
    expect(registryBytes).to.equal(70_000 + config)
  })

  it('reads at most three blobs of an image at a time, the config before all', async () => {
    const layers = 8
    const open = new Map<string, () => void>()
    let most = 0
    let left = layers + 1
    const order: string[] = []
    /** One when there are three, a moment later: a fourth would have come by then. */
    const answerNext = (): void => {
      const enough = order.length === 1 ? 1 : Math.min(3, left)
      if (open.size >= enough) setTimeout(() => [...open.values()].at(0)?.(), 20)
    }
    bench.registry.setFault((request, response) => {
      const path = request.url ?? ''
      if (path === '/v2/') return false
      order.push(path)
      const answer = (): void => {
        left -= 1
        open.delete(path)
        answerNext()
        sendBlob(response, bench.registry.blobs.get(path.slice(path.lastIndexOf('/') + 1))!)
      }
      open.set(path, answer)
      most = Math.max(most, open.size)
      answerNext()
      return true
    })
    const request = bench.publish(Array.from({ length: layers }, () => randomBytes(100)))
    await bench.ingester.ingest(request, { signal })
    expect(most).to.equal(3)
    expect(order[0]).to.contain(request.blobs[0]!.digest)
  })

  it('refuses wrong bytes, says of which blob, and keeps nothing of them', async () => {
    const layer = randomBytes(300_000)
    const request = bench.publish([layer, randomBytes(1_000)])
    const { digest } = request.blobs[1]!
    const changed = Uint8Array.from(layer)
    changed[290_000]! ^= 1
    bench.registry.blobs.set(digest, changed)
    const both = await Promise.all(
      [1, 2].map(() => fault(bench.ingester.ingest(request, { signal }))),
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
      const error = await fault(bench.ingester.ingest(request, { signal }))
      expect(errorCode(error)).to.equal('DIGEST_MISMATCH')
    }
  })

  it('refuses an image for another machine before it reads its layers', async () => {
    const request = bench.publish([randomBytes(1_000)], { architecture: 'arm64' })
    const error = await fault(bench.ingester.ingest(request, { signal }))
    expect(errorCode(error)).to.equal('PLATFORM_NOT_FOUND')
    expect(bench.readsOf(request.blobs[1]!.digest)).to.equal(0)
  })

  it('takes an image that lists one layer twice', async () => {
    const layer = randomBytes(1_000)
    const { blobs, ...rest } = bench.publish([layer, layer])
    const request = { ...rest, blobs: blobs.slice(0, 2) }
    const { blobIds } = await bench.ingester.ingest(request, { signal })
    expect(blobIds).to.have.length(2)
  })

  it('hands on a 401, and lets whoever has better credentials go on', async () => {
    bench.registry.setFault((request, response) => {
      const good = `Basic ${Buffer.from('tenant:right').toString('base64')}`
      if (request.headers.authorization === good) return false
      response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end()
      return true
    })
    const request = bench.publish([randomBytes(200_000)])
    const as = (password: string) =>
      bench.ingester.ingest(
        { ...request, credentials: createCredentials('tenant', password) },
        { signal },
      )
    const [wrong, right] = await Promise.allSettled([as('wrong'), as('right')])
    expect(wrong.status === 'rejected' && errorCode(wrong.reason)).to.equal('UNAUTHORIZED')
    expect(right.status).to.equal('fulfilled')
  })

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
    const error = await fault(bench.ingester.ingest(request, { signal }))
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
      const error = await fault(slow.ingester.ingest(request, { signal }))
      expect(errorCode(error)).to.equal('REGISTRY_TOO_SLOW')
      slow.registry.setFault(undefined)
      const { registryBytes } = await slow.ingester.ingest(request, { signal })
      expect(registryBytes).to.equal(1_000_000 - 4 * 65_536)
    } finally {
      await slow.close()
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
      const error = await fault(bench.ingester.ingest(evil, { signal }))
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
      const pulls = slow.map((one) => fault(bench.ingester.ingest(one, { signal: leaver.signal })))
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
      const slow = fault(crowded.ingester.ingest(request, { signal }))
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

  it('stops reading when the last who wants it has left, not before', async () => {
    const layer = randomBytes(1_000_000)
    const request = bench.publish([layer])
    const cut = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    bench.registry.setFault(({ url }, response) => {
      if (!url?.endsWith(request.blobs[1]!.digest)) return false
      response.setHeader('content-length', layer.length)
      response.write(layer.subarray(0, 500_000), () => asked.resolve())
      response.on('close', () => cut.resolve())
      return true
    })
    const leavers = [new AbortController(), new AbortController()] as const
    const pulls = leavers.map((leaver) =>
      fault(bench.ingester.ingest(request, { signal: leaver.signal })),
    )
    await asked.promise
    leavers[0].abort(new Error('first'))
    expect(await pulls[0]).to.have.property('message', 'first')
    const early = await Promise.race([cut.promise.then(() => 'cut'), Promise.resolve('reading')])
    expect(early).to.equal('reading')
    leavers[1].abort(new Error('second'))
    expect(await pulls[1]).to.have.property('message', 'second')
    await cut.promise
    bench.registry.setFault(undefined)
    await bench.ingester.ingest(request, { signal })
    expect(bench.readsOf(request.blobs[1]!.digest)).to.equal(2)
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
      const error = await fault(small.ingester.ingest(second!, { signal }))
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
      expect(errorCode(await fault(small.ingester.ingest(huge, { signal })))).to.equal(
        'BUDGET_EXCEEDED',
      )
      expect(small.readsOf(huge.blobs[0]!.digest)).to.equal(0)
    } finally {
      await small.close()
    }
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
})
