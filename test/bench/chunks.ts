/**
 * What a chunk costs at each station of its way, against the primitives alone (SHA-256 twice and
 * AES-256-GCM over the same bytes): ingest into the store, reading it back as plaintext, and
 * putting it into another store as a receiver does.
 */
import { createCipheriv, createHash, hash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  blobIdFor,
  chunkSizeFor,
  encodeDescriptor,
  encryptBlob,
  readBlobRange,
} from '../../protocol/bundle/index.ts'
import { openBundleStore, type StoredBundle } from '../../protocol/chunk-store/index.ts'
import type { Digest } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { defineBench, megabytesPerS, round } from './bench.ts'

const key = new Uint8Array(32).fill(1)
const pieceBytes = 64 << 10
const putsAtOnce = 8

/** The same bytes each time; they do not compress. */
function* bytesOf(size: number): Generator<Uint8Array> {
  const stream = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16))
  const zeroes = Buffer.alloc(pieceBytes)
  for (let at = 0; at < size; at += pieceBytes) {
    yield stream.update(zeroes.subarray(0, Math.min(pieceBytes, size - at)))
  }
}

async function* streamOf(size: number): AsyncGenerator<Uint8Array> {
  yield* bytesOf(size)
}

async function timed(work: () => Promise<unknown> | unknown): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}

function primitives(size: number): void {
  const digest = createHash('sha256')
  for (const piece of bytesOf(size)) {
    digest.update(piece)
    const cipher = createCipheriv('aes-256-gcm', key, Buffer.alloc(12))
    hash('sha256', Buffer.concat([cipher.update(piece), cipher.final()]))
  }
  digest.digest()
}

async function putAll(from: StoredBundle, to: StoredBundle): Promise<void> {
  const { chunkCount } = from.layout
  for (let first = 0; first < chunkCount; first += putsAtOnce) {
    const count = Math.min(putsAtOnce, chunkCount - first)
    const numbers = Array.from({ length: count }, (_, at) => first + at)
    await Promise.all(numbers.map(async (number) => to.put(number, await from.read(number))))
  }
}

export const chunks = defineBench({
  summary: 'ingest, read and put of chunks, against the cryptographic primitives alone',
  options: { mb: { description: 'megabytes', default: 256 } },
  async run({ mb }, tell) {
    const size = mb * 1_000_000
    const root = await mkdtemp(join(tmpdir(), 'potluck-bench-'))
    const open = (name: string) =>
      openBundleStore({ root: join(root, name), budgetBytes: 4 * size }, { logger: silentLogger })
    const [one, two] = [await open('one'), await open('two')]
    try {
      const hashed = createHash('sha256')
      for (const piece of bytesOf(size)) hashed.update(piece)
      const digest = `sha256:${hashed.digest('hex')}` as Digest
      const chunkSize = chunkSizeFor(size)

      const bareMs = await timed(() => primitives(size))
      tell(`primitives: ${megabytesPerS(size, bareMs)} MB/s`)
      const draft = await one.createBlobDraft(blobIdFor(key, digest, chunkSize), size, chunkSize)
      const ingestMs = await timed(async () => {
        const sealed = encryptBlob(streamOf(size), { key, digest, sizeBytes: size })
        for await (const { index, bytes, name } of sealed) await draft.append(index, bytes, name)
      })
      tell(`ingest: ${megabytesPerS(size, ingestMs)} MB/s`)
      const stored = await one.add(encodeDescriptor([await draft.finish()]))
      const { signal } = new AbortController()
      const readMs = await timed(async () => {
        for await (const _ of readBlobRange(stored, 0, key, { signal }));
      })
      tell(`read: ${megabytesPerS(size, readMs)} MB/s`)
      const receiver = await two.add(stored.descriptorBytes)
      const putMs = await timed(() => putAll(stored, receiver))
      tell(`read and put: ${megabytesPerS(size, putMs)} MB/s`)
      return {
        bytes: size,
        chunkBytes: chunkSize,
        primitivesMBps: megabytesPerS(size, bareMs),
        ingestMBps: megabytesPerS(size, ingestMs),
        readMBps: megabytesPerS(size, readMs),
        putMBps: megabytesPerS(size, putMs),
        ingestRatio: round(bareMs / ingestMs),
        rssMB: round(process.memoryUsage.rss() / 1e6),
      }
    } finally {
      await Promise.all([one.close(), two.close()])
      await rm(root, { recursive: true })
    }
  },
})
