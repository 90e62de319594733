/**
 * Questions to caches and their answers, matched by id. A question ends with its answer, with the
 * cache's stream, or when nothing was heard of it for long: then it is asked again, of another
 * cache or of the same, and ingest being idempotent nothing is read twice.
 */
import { createHash, randomUUID } from 'node:crypto'
import {
  credentialsCodec,
  type DownMessage,
  type IngestSecrets,
  ingestSecretsCodec,
  type RegistryCredentials,
  type ResolvedManifest,
} from '../../protocol/control/index.ts'
import type { BlobId, BundleId, PeerId } from '../../protocol/ids.ts'
import { seal } from '../../protocol/sealing/index.ts'
import type { CacheMessage, Sessions } from '../sessions/index.ts'
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

  const choose = (affinity: string): PeerId => {
    const here = [...sessions.caches.values()].filter(({ isHere, keys }) => isHere && keys > 0)
    const weight = ({ node }: Readonly<{ node: PeerId }>): string =>
      createHash('sha256').update(`${affinity} ${node}`).digest('hex')
    // Rendezvous hashing: when a cache leaves, only its images move.
    const best = here.sort((a, b) => (weight(a) < weight(b) ? -1 : 1))[0]
    if (!best) throw fault('NO_CACHE', 'no cache of the roster is connected; the image waits')
    return best.node
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
    async resolve(reference, credentials, { signal }) {
      const cache = choose(reference)
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
      if (!reply.image) throw fault('CACHE_ANSWER_INVALID', 'the cache resolved to nothing')
      return reply.image
    },
    async ingest(secrets, { affinity, signal, onProgress }) {
      const cache = choose(affinity)
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
      if (!bundle || blobIds?.length !== secrets.blobs.length) {
        throw fault('CACHE_ANSWER_INVALID', 'the cache did not name what it ingested')
      }
      return { cache, bundle, blobIds, registryBytes }
    },
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

function fault(code: string, message: string): ImageFaultError {
  return new ImageFaultError({ code, message })
}

function plain({ username, password }: RegistryCredentials): RegistryCredentials {
  return { username, password }
}
