/**
 * The coordinator's requests, served. Level-triggered: a request runs on when its stream breaks, its
 * answer goes to whatever stream there is then, and one that is asked again joins the work or finds
 * it done. Nothing is promised that a restart could break.
 */
import { LRUCache } from 'lru-cache'
import pLimit, { type LimitFunction } from 'p-limit'
import type { DownMessage, UpMessage } from '../../protocol/control/index.ts'
import { PotluckError } from '../../protocol/errors.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { KeyRing } from '../../protocol/sealing/index.ts'
import { type Ingester, WrongBlobError } from '../ingest/index.ts'
import type { Credentials, ImageSource } from '../oci/index.ts'
import { faultOf, isOwnFault } from './fault.ts'
import { createProgressReports } from './progress-reports.ts'
import { resolvedManifest } from './resolved-manifest.ts'
import { createSecretOpener, wipeKeys } from './secrets.ts'
import { createSharedResolves } from './shared-resolves.ts'

type Asked<T extends DownMessage['type']> = Extract<DownMessage, { readonly type: T }>
export type CacheRequest = Asked<'resolve' | 'ingest' | 'drop-bundle'>
type Answer = Extract<UpMessage, { readonly type: 'resolved' | 'ingested' }>

export type RequestsInit = Readonly<{
  /** Worked on at once, of each kind. */
  resolvesMax?: number
  ingestsMax?: number
  /** Waiting beyond those, of each kind; more are answered `CACHE_BUSY`. */
  waitingMax?: number
  progressEveryMs?: number
}>

export type RequestsComponents = Readonly<{
  source: ImageSource
  ingester: Ingester
  ring: KeyRing
  /** To the coordinator; false when no stream takes it. */
  send: (message: UpMessage) => boolean
  logger: Logger
}>

export interface Requests {
  /** Takes a request and returns at once; the answer is sent when it is there. */
  take(request: CacheRequest): void
  keysInUse(): readonly Uint8Array[]
  /** Sends again what was answered while no stream was up. */
  resend(): void
  /** Ends what is under way, without an answer. */
  stop(): Promise<void>
}

/** Answers that may have been lost with a stream, to be told again. */
const answersKept = 1_024

export function createRequests(init: RequestsInit, components: RequestsComponents): Requests {
  const { resolvesMax = 16, ingestsMax = 64, waitingMax = 1_024 } = init
  const { source, ingester, send, logger } = components
  const stopped = new AbortController()
  const { signal } = stopped
  const secrets = createSecretOpener({ ring: components.ring })
  const progressInit = init.progressEveryMs === undefined ? {} : { everyMs: init.progressEveryMs }
  const reports = createProgressReports(progressInit, { send })
  const limits = { resolve: pLimit(resolvesMax), ingest: pLimit(ingestsMax) }
  const running = new Map<string, Promise<void>>()
  const unsent = new Map<string, Answer>()
  const ingested = new LRUCache<string, Answer>({ max: answersKept })

  const answer = (message: Answer): void => {
    if (message.type === 'ingested' && !message.fault) ingested.set(message.id, message)
    if (send(message)) return
    unsent.set(message.id, message)
    const [oldest] = unsent.keys()
    if (unsent.size > answersKept && oldest !== undefined) unsent.delete(oldest)
  }
  const failed = (what: string, id: string, error: unknown, credentials?: Credentials) => {
    const fault = faultOf(error, credentials)
    if (isOwnFault(fault)) logger.error({ request: id, error }, `${what} failed in the cache`)
    else logger.warn({ request: id, fault }, `${what} failed`)
    return fault
  }
  const inTurn = async <T>(limit: LimitFunction, work: () => Promise<T>): Promise<T> => {
    if (limit.pendingCount >= waitingMax) {
      throw new PotluckError(
        'CACHE_BUSY',
        'the cache has too much to do; ask it, or another, later',
      )
    }
    return await limit(work)
  }
  const resolves = createSharedResolves(
    { signal },
    { source, inTurn: (work) => inTurn(limits.resolve, work) },
  )
  // In both, the key is used before the turn is waited for: a reconnect replaces all keys.
  const resolve = async ({ id, reference, credentials: sealed }: Asked<'resolve'>) => {
    let credentials: Credentials | undefined
    try {
      credentials = await secrets.credentials(sealed)
      const found = await resolves.resolve(reference, credentials)
      answer({ type: 'resolved', id, image: resolvedManifest(found) })
    } catch (error) {
      if (signal.aborted) return
      answer({ type: 'resolved', id, fault: failed('resolving', id, error, credentials) })
    }
  }
  const ingest = async ({ id, sealed }: Asked<'ingest'>) => {
    let credentials: Credentials | undefined
    let unfollow = (): void => undefined
    try {
      const request = await secrets.ingest(sealed)
      credentials = request.credentials
      try {
        const result = await inTurn(limits.ingest, () =>
          ingester.ingest(request, {
            signal,
            onStart(progress) {
              unfollow = reports.follow(id, progress)
            },
          }),
        )
        unfollow()
        answer({ type: 'ingested', id, ...result, blobIds: [...result.blobIds] })
      } finally {
        wipeKeys(request)
      }
    } catch (error) {
      unfollow()
      if (signal.aborted) return
      const wrongBlob = error instanceof WrongBlobError ? error.digest : undefined
      const fault = failed('an ingest', id, error, credentials)
      answer({ type: 'ingested', id, fault, ...(wrongBlob && { wrongBlob }) })
    }
  }
  /** An answer that still holds: what it names may have been dropped since. */
  const answered = (id: string): Answer | undefined => {
    const known = ingested.get(id)
    const bundle = known?.type === 'ingested' ? known.bundle : undefined
    return bundle !== undefined && ingester.bundles().includes(bundle) ? known : undefined
  }
  const begin = (id: string, work: () => Promise<void>): void => {
    if (running.has(id) || signal.aborted) return
    unsent.delete(id)
    running.set(
      id,
      work().finally(() => running.delete(id)),
    )
  }
  return {
    take(request) {
      if (request.type === 'drop-bundle') {
        ingester.drop(request.bundle)
        return
      }
      const known = answered(request.id)
      if (known) answer(known)
      else if (request.type === 'ingest') begin(request.id, () => ingest(request))
      else begin(request.id, () => resolve(request))
    },
    keysInUse: () => secrets.keysInUse(),
    resend() {
      for (const [id, message] of [...unsent]) if (send(message)) unsent.delete(id)
    },
    async stop() {
      stopped.abort(new PotluckError('CACHE_STOPPING', 'the cache stops'))
      reports.stop()
      await Promise.all(running.values())
    },
  }
}
