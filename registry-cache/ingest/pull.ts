/** One caller's pull of an image: its holds on blobs, how far they are, and what it paid for. */
import assert from 'node:assert/strict'
import pLimit from 'p-limit'
import type { FinishedBlob } from '../../protocol/chunk-store/index.ts'
import { ImageSourceError } from '../oci/index.ts'
import type { BlobHold, BlobJobs, BlobOrigin, KeyedBlob } from './blob-jobs.ts'
import { checkConfig } from './check-config.ts'
import { ConfigTooLargeError, RegistryTooSlowError, WrongBlobError } from './errors.ts'

export type PullInit = BlobOrigin & Readonly<{ blobs: readonly KeyedBlob[] }>

export type PullComponents = Readonly<{
  jobs: BlobJobs
  /** Blobs of this image that are waited for at once. */
  blobsPerImage: number
  signal: AbortSignal
}>

export interface Pull {
  /** Every blob, finished, in order. Holds them until `release`. @throws as `Ingester.ingest` */
  all(): Promise<readonly FinishedBlob[]>
  progress(): { readonly bytesDone: number; readonly bytesTotal: number }
  /** Lets go of all blobs; reading that nobody else waits for ends. */
  release(): void
  /** Registry bytes of the holds that were released. */
  readonly registryBytes: number
}

const configBytesMax = 4 << 20

export function createPull(init: PullInit, components: PullComponents): Pull {
  const { blobs, repository } = init
  const { jobs, blobsPerImage } = components
  const ended = new AbortController()
  const signal = AbortSignal.any([components.signal, ended.signal])
  const [config, ...layers] = blobs
  assert(config, 'an image has a config')
  const holds = new Map<KeyedBlob, BlobHold>()
  let registryBytes = 0

  const letGo = (blob: KeyedBlob): void => {
    const hold = holds.get(blob)
    if (!hold) return
    holds.delete(blob)
    registryBytes += hold.takeRegistryBytes()
    hold.release()
  }
  /** Another's origin may fail where ours would not: then the blob is asked for in our own name. */
  const obtain = async (blob: KeyedBlob): Promise<FinishedBlob> => {
    for (;;) {
      signal.throwIfAborted()
      const hold = jobs.hold(blob, init)
      holds.set(blob, hold)
      try {
        return await untilAborted(hold.done, signal)
      } catch (error) {
        letGo(blob)
        const isOurs = hold.origin === init || sameOrigin(hold.origin, init)
        if (isOurs || !isOfOrigin(error)) throw error
      }
    }
  }
  const obtainConfig = async (): Promise<FinishedBlob> => {
    if (config.sizeBytes > configBytesMax) {
      throw new ConfigTooLargeError(repository, config.sizeBytes, configBytesMax)
    }
    const finished = await obtain(config)
    const plaintext = await holds.get(config)?.plaintext()
    assert(plaintext, 'a finished blob is held')
    checkConfig(repository, layers, plaintext)
    return finished
  }
  return {
    async all() {
      const first = await obtainConfig()
      const limit = pLimit(blobsPerImage)
      const rest = layers.map((layer) => limit(() => obtain(layer)))
      // The first fault ends all: nobody waits for gigabytes of an image that cannot be had.
      for (const one of rest) one.catch((error: unknown) => ended.abort(error))
      await Promise.allSettled(rest)
      return [first, ...(await Promise.all(rest))]
    },
    progress() {
      const done = [...holds.values()].reduce((sum, { bytesDone }) => sum + bytesDone, 0)
      return { bytesDone: done, bytesTotal: blobs.reduce((sum, blob) => sum + blob.sizeBytes, 0) }
    },
    release() {
      for (const blob of [...holds.keys()]) letGo(blob)
    },
    get registryBytes() {
      return registryBytes
    },
  }
}

/** What one registry or account did, and another may not. */
function isOfOrigin(error: unknown): boolean {
  return [ImageSourceError, RegistryTooSlowError, WrongBlobError].some(
    (kind) => error instanceof kind,
  )
}

function sameOrigin(a: BlobOrigin, b: BlobOrigin): boolean {
  return (
    a.repository === b.repository &&
    a.credentials?.username === b.credentials?.username &&
    a.credentials?.password === b.credentials?.password
  )
}

/** `promise`, or the signal's reason; what the promise becomes later is nobody's fault. */
async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const stop = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    if (signal.aborted) stop()
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
