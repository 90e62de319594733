/**
 * Questions to caches and their answers, matched by id. A question ends with its answer, with the
 * cache's stream, or when nothing was heard of it for long: then it is asked again, of another
 * cache or of the same, and ingest being idempotent nothing is read twice. Answers are checked before
 * they are believed; after a wrong one the next cache is asked.
 */
import { createHash, randomUUID } from 'node:crypto'
import { blobIdFor, chunkSizeFor } from '../../protocol/bundle/index.ts'
import {
  credentialsCodec,
  type DownMessage,
  type IngestSecrets,
  ingestSecretsCodec,
  type RegistryCredentials,
  type ResolvedManifest,
} from '../../protocol/control/index.ts'
import { errorCode } from '../../protocol/errors.ts'
import type { BlobId, BundleId, Digest, PeerId } from '../../protocol/ids.ts'
import { seal } from '../../protocol/sealing/index.ts'
import type { CacheMessage, Sessions } from '../sessions/index.ts'
import { checkResolved, wrongAnswer, wrongAnswerCode } from './check-answer.ts'
import { ImageFaultError } from './errors.ts'

export type Ingested = Readonly<{
  cache: PeerId
  bundle: BundleId
  blobIds: readonly BlobId[]
  registryBytes: number
}>

export interface CacheDesk {
  /** @throws {ImageFaultError} the cache's fault, or NO_CACHE, CACHE_GONE, CACHE_SILENT. */
  resolve(
    reference: string,
    credentials: RegistryCredentials | undefined,
    options: Readonly<{ signal: AbortSignal }>,
  ): Promise<ResolvedManifest>
  /** @throws as resolve. */
  ingest(
    secrets: IngestSecrets,
    options: Readonly<{
      /** The same image goes to the same cache while it can. */
      affinity: string
      signal: AbortSignal
      onProgress: (bytesDone: number, bytesTotal: number) => void
      /** False for a bundle's id that cannot be this image's. Called last, once all else is right. */
      accepts: (bundle: BundleId) => boolean
    }>,
  ): Promise<Ingested>
  onMessage(peer: PeerId, message: CacheMessage): void
  /** Whether an ingest is under way at this cache. */
  isBusy(cache: PeerId): boolean
}

type Question = {
  readonly cache: PeerId
  readonly answer: (message: CacheMessage) => void
  heard: () => void
  readonly isIngest: boolean
}

/** A registry may be slow, a cache says something at least each few seconds. */
const silentMs = 120_000

export function createCacheDesk({
  sessions,
}: Readonly<{
  sessions: Pick<Sessions, 'caches' | 'send' | 'takeKey' | 'signalOf'>
}>): CacheDesk {
  const questions = new Map<string, Question>()

  const proven = createProven()

  const choose = (affinity: string): readonly [PeerId, ...PeerId[]] => {
    const here = [...sessions.caches.values()].filter(({ isHere, keys }) => isHere && keys > 0)
    const weight = ({ node }: Readonly<{ node: PeerId }>): string =>
      createHash('sha256').update(`${affinity} ${node}`).digest('hex')
    // Rendezvous hashing: when a cache leaves, only its images move.
    const [best, ...others] = here.sort((a, b) => (weight(a) < weight(b) ? -1 : 1))
    if (!best) throw fault('NO_CACHE', 'no cache of the roster is connected; the image waits')
    return [best.node, ...others.map(({ node }) => node)]
  }
  /** Asks the caches in turn, until one gives an answer that may be right. */
  const inTurn = async <T>(affinity: string, asking: (cache: PeerId) => Promise<T>): Promise<T> => {
    const [first, ...others] = choose(affinity)
    let answer = asking(first)
    for (const cache of others) {
      answer = answer.catch((error: unknown) => {
        if (errorCode(error) !== wrongAnswerCode) throw error
        return asking(cache)
      })
    }
    return answer
  }
  const sealTo = (cache: PeerId, plaintext: Uint8Array) => {
    const key = sessions.takeKey(cache)
    if (!key) throw fault('NO_CACHE', 'the cache has no one-time key left; the image waits')
    return seal(plaintext, key)
  }

  async function ask<M extends CacheMessage>(
    cache: PeerId,
    message: Extract<DownMessage, { id: string }>,
    {
      signal,
      onMessage,
    }: { signal: AbortSignal; onMessage: (message: CacheMessage) => M | undefined },
  ): Promise<M> {
    const { promise, resolve, reject } = Promise.withResolvers<M>()
    const streamEnd = sessions.signalOf(cache)
    const gone = (): void => reject(fault('CACHE_GONE', 'the cache left; it is asked again'))
    const stop = (): void => reject(signal.reason)
    let timer: NodeJS.Timeout | undefined
    const heard = (): void => {
      clearTimeout(timer)
      timer = setTimeout(
        () => reject(fault('CACHE_SILENT', `the cache said nothing for ${silentMs} ms`)),
        silentMs,
      )
    }
    heard()
    signal.addEventListener('abort', stop, { once: true })
    streamEnd?.addEventListener('abort', gone, { once: true })
    const answer = (reply: CacheMessage): void => {
      const last = onMessage(reply)
      if (last) resolve(last)
    }
    questions.set(message.id, { cache, answer, heard, isIngest: message.type === 'ingest' })
    try {
      signal.throwIfAborted()
      if (!sessions.send(cache, message)) gone()
      return await promise
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      streamEnd?.removeEventListener('abort', gone)
      questions.delete(message.id)
    }
  }

  return {
    resolve: (reference, credentials, { signal }) =>
      inTurn(reference, async (cache) => {
        const sealed = credentials && sealTo(cache, credentialsCodec.encode(plain(credentials)))
        const reply = await ask(
          cache,
          {
            type: 'resolve',
            id: randomUUID(),
            reference,
            ...(sealed ? { credentials: sealed } : {}),
          },
          { signal, onMessage: (message) => (message.type === 'resolved' ? message : undefined) },
        )
        if (reply.fault) throw new ImageFaultError(reply.fault)
        if (!reply.image) throw wrongAnswer('it resolved to nothing')
        const image = checkResolved(reply.image, {
          reference,
          hasCredentials: credentials !== undefined,
          isImageManifest: proven.has,
        })
        proven.add(image.manifestDigest)
        return image
      }),
    ingest: (secrets, { affinity, signal, onProgress, accepts }) =>
      inTurn(affinity, async (cache) => {
        const sealed = sealTo(cache, ingestSecretsCodec.encode(secrets))
        const reply = await ask(
          cache,
          { type: 'ingest', id: randomUUID(), sealed },
          {
            signal,
            onMessage(message) {
              if (message.type === 'ingested') return message
              if (message.type === 'ingest-progress') {
                onProgress(message.bytesDone, message.bytesTotal)
              }
              return undefined
            },
          },
        )
        if (reply.fault) throw new ImageFaultError(reply.fault, reply.wrongBlob)
        const { bundle, blobIds, registryBytes = 0 } = reply
        if (!bundle || !blobIds) throw wrongAnswer('it did not name what it ingested')
        const named = secrets.blobs.map(({ key, digest, sizeBytes }) =>
          blobIdFor(key, digest, chunkSizeFor(sizeBytes)),
        )
        if (named.join() !== blobIds.join()) throw wrongAnswer('it named other blobs than given')
        if (!accepts(bundle)) throw wrongAnswer(`bundle ${bundle} is another image's`)
        return { cache, bundle, blobIds, registryBytes }
      }),
    onMessage(peer, message) {
      const question = questions.get(message.id)
      if (question?.cache !== peer) return
      question.heard()
      question.answer(message)
    },
    isBusy: (cache) =>
      questions.values().some((question) => question.isIngest && question.cache === cache),
  }
}

/** The newest digests that were seen to be image manifests'. */
function createProven() {
  const provenMax = 10_000
  const digests = new Set<Digest>()
  return {
    has: (digest: Digest): boolean => digests.has(digest),
    add(digest: Digest): void {
      digests.delete(digest)
      digests.add(digest)
      if (digests.size <= provenMax) return
      for (const first of digests) {
        digests.delete(first)
        return
      }
    },
  }
}

function fault(code: string, message: string): ImageFaultError {
  return new ImageFaultError({ code, message })
}

function plain({ username, password }: RegistryCredentials): RegistryCredentials {
  return { username, password }
}
