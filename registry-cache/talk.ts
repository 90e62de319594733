/**
 * The cache's side of the conversation with its coordinator: what it holds in each hello and beat,
 * what it is asked, and the word that something changed.
 */
import pLimit from 'p-limit'
import { bundlesMax, type ControlLink, type UpMessage } from '../protocol/control/index.ts'
import type { BundleId } from '../protocol/ids.ts'
import type { Logger } from '../protocol/log/index.ts'
import type { MisbehaviourLog, Peer, PeerControlHandlers } from '../protocol/peer/index.ts'
import type { Ingester } from './ingest/index.ts'
import type { LinkDesk } from './link-tests.ts'
import type { ImageSource } from './oci/index.ts'
import { createRequests, type Requests } from './requests/index.ts'

export type TalkComponents = Readonly<{
  source: ImageSource
  ingester: Ingester
  peer: Peer
  /** What it has measured of nodes' lines. */
  links: Pick<LinkDesk, 'messages'>
  misbehaviour: MisbehaviourLog
  logger: Logger
  signal: AbortSignal
}>

const provideMs = 20_000
const providesMax = 4
const flushMs = 1_000
const beatSoonMs = 200

export interface Talk {
  /** False when there is no stream. */
  send(message: UpMessage): boolean
  stop(): Promise<void>
}

/** Connects, and serves requests until `stop()`. */
export function startTalk(components: TalkComponents): Talk {
  const { source, ingester, peer, logger } = components
  let control: ControlLink | undefined
  let beating: NodeJS.Timeout | undefined
  /** What is held changed: said once for many changes, and before the next beat is due. */
  const beatSoon = (): void => {
    beating ??= setTimeout(() => {
      beating = undefined
      control?.beatNow()
    }, beatSoonMs)
  }
  const requests = createRequests(
    {},
    {
      ...{ source, ingester, ring: peer.keys.ring, logger },
      send(message) {
        if (message.type === 'ingested') beatSoon()
        return control?.send(message) ?? false
      },
    },
  )
  const send = (message: UpMessage): boolean => control?.send(message) ?? false
  control = peer.connect(handlersOf(components, requests, { beatSoon, send }))
  const stop = async (): Promise<void> => {
    clearTimeout(beating)
    control?.send({ type: 'goodbye', reason: 'the cache stops' })
    await control?.stop({ flushMs })
    await requests.stop()
    clearTimeout(beating)
  }
  let stopped: Promise<void> | undefined
  return {
    send,
    stop() {
      stopped ??= stop()
      return stopped
    },
  }
}

function handlersOf(
  components: TalkComponents,
  requests: Requests,
  { beatSoon, send }: { beatSoon: () => void; send: (message: UpMessage) => boolean },
): PeerControlHandlers {
  const { ingester, misbehaviour, logger } = components
  const provideOnce = createProvideOnce(components)
  // The most recently used are the last.
  const bundles = (): BundleId[] => ingester.bundles().slice(-bundlesMax)
  return {
    facts: async () => ({ held: [], bundles: bundles(), keysInUse: requests.keysInUse() }),
    state: () => ({ instances: [], bundles: bundles(), misbehaviour: misbehaviour.take() }),
    onBeatAnswer: misbehaviour.answered,
    onUp() {
      requests.resend()
      for (const message of components.links.messages()) send(message)
      provideOnce(ingester.bundles())
    },
    onMessage(message) {
      const { type } = message
      if (type === 'order' || type === 'revoke' || type === 'claim-answer') {
        logger.warn({ type }, 'this is for nodes, and ignored by a cache')
      } else if (message.type === 'resolve' || message.type === 'ingest') {
        requests.take(message)
      } else if (message.type === 'drop-bundle') {
        requests.take(message)
        beatSoon()
      }
    },
  }
}

/** The DHT is told of what was here before this start, once the secret that keys it is known. */
function createProvideOnce(
  components: Pick<TalkComponents, 'peer' | 'logger' | 'signal'>,
): (bundles: readonly BundleId[]) => void {
  const { peer, logger, signal } = components
  const limit = pLimit(providesMax)
  let done = false
  return (bundles) => {
    if (done) return
    done = true
    for (const bundle of bundles) {
      const work = async (): Promise<void> => {
        const deadline = AbortSignal.any([signal, AbortSignal.timeout(provideMs)])
        if (!signal.aborted) await peer.holders.provide(bundle, { signal: deadline })
      }
      limit(work).catch((error: unknown) => {
        if (!signal.aborted) logger.debug({ bundle, error }, 'the DHT was not told of a bundle')
      })
    }
  }
}
