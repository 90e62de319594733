/**
 * Capacity adverts over gossip. A node publishes without subscribing (gossipsub's fan-out), so an
 * idle PC does not carry everyone's adverts; whoever subscribes checks each one before it is
 * passed on, so that a forged advert costs its bearer standing instead of reaching others.
 */
import type { Message } from '@libp2p/gossipsub'
import { TopicValidatorResult } from '@libp2p/gossipsub'
import type { PeerId as Libp2pPeerId } from '@libp2p/interface'
import { LRUCache } from 'lru-cache'
import type { PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import { type CapacityAdvert, decodeAdvert, encodeAdvert } from './advert.ts'
import type { Mesh } from './create-mesh.ts'
import { WrongAuthorError } from './errors.ts'
import { peerIdOf } from './identity.ts'
import { capacityTopic, type Region } from './topics.ts'

/** Peers whose last sequence number is remembered; beyond, the longest silent is forgotten. */
const peersMax = 50_000

/** Publishes this host's adverts. Resolves with how many neighbours took it; none is no error. */
export function createAdvertPublisher({ mesh }: { readonly mesh: Mesh }) {
  return async (advert: CapacityAdvert): Promise<{ readonly recipients: number }> => {
    const sent = await mesh.services.pubsub.publish(
      capacityTopic(advert.region),
      encodeAdvert(advert),
    )
    return { recipients: sent.recipients.length }
  }
}

export type AdvertFeed = Readonly<{ stop(): void }>

export type AdvertFeedInit = Readonly<{
  regions: readonly Region[]
  /** Called once for each newer advert of a peer; must not throw. */
  onAdvert: (advert: CapacityAdvert) => void
}>

/**
 * The advert in a gossip message, if it is one and its signed author speaks for itself.
 * @throws {MalformedMessageError} @throws {MessageTooLargeError} @throws {WrongAuthorError}
 */
export function readAdvert(message: Message): CapacityAdvert {
  const advert = decodeAdvert(message.data)
  const author = message.type === 'signed' ? peerIdOf(message.from) : 'nobody'
  if (author !== advert.peer) throw new WrongAuthorError('capacity advert', author, advert.peer)
  if (message.topic !== capacityTopic(advert.region)) {
    throw new WrongAuthorError('capacity advert', message.topic, capacityTopic(advert.region))
  }
  return advert
}

/** Subscribes to the regions' adverts until `stop()`. */
export function createAdvertFeed(
  { regions, onAdvert }: AdvertFeedInit,
  { mesh, logger }: { readonly mesh: Mesh; readonly logger: Logger },
): AdvertFeed {
  const { pubsub } = mesh.services
  const newest = new LRUCache<PeerId, number>({ max: peersMax })
  const topics = new Set(regions.map(capacityTopic))

  const validate = (bearer: Libp2pPeerId, message: Message): TopicValidatorResult => {
    try {
      readAdvert(message)
      return TopicValidatorResult.Accept
    } catch (error) {
      logger.debug({ bearer: bearer.toString(), error }, 'refused a capacity advert')
      return TopicValidatorResult.Reject
    }
  }
  const deliver = ({ detail: message }: CustomEvent<Message>): void => {
    if (!topics.has(message.topic)) return
    const advert = readAdvert(message)
    if (advert.seq <= (newest.get(advert.peer) ?? -1)) return
    newest.set(advert.peer, advert.seq)
    onAdvert(advert)
  }

  pubsub.addEventListener('message', deliver)
  for (const topic of topics) {
    pubsub.topicValidators.set(topic, validate)
    pubsub.subscribe(topic)
  }
  return {
    stop() {
      pubsub.removeEventListener('message', deliver)
      for (const topic of topics) {
        pubsub.unsubscribe(topic)
        pubsub.topicValidators.delete(topic)
      }
      topics.clear()
    },
  }
}
