/**
 * Ban news over gossip: it reaches peers that have no stream to the coordinator, and passes only
 * through peers that verified it, so a forgery goes no further than the first honest one.
 */
import type { Message } from '@libp2p/gossipsub'
import { TopicValidatorResult } from '@libp2p/gossipsub'
import type { PeerId as Libp2pPeerId } from '@libp2p/interface'
import type { PeerId } from '../ids.ts'
import { bansTopic, type Mesh, peerIdOf } from '../mesh/index.ts'
import { type BanNews, banNewsCodec } from '../orders/index.ts'

/** `genuine`: verified, pass it on. `forged`: its bearer should have known. `unknown`: neither. */
export type NewsVerdict = 'genuine' | 'forged' | 'unknown'

/** Judges each message of the topic, and passes on what is genuine, until the returned function is called. */
export function joinBanTopic(
  judge: (news: BanNews, bearer: PeerId) => Promise<NewsVerdict>,
  { mesh }: { readonly mesh: Mesh },
): () => void {
  const { pubsub } = mesh.services
  const results: Readonly<Record<NewsVerdict, TopicValidatorResult>> = {
    genuine: TopicValidatorResult.Accept,
    forged: TopicValidatorResult.Reject,
    unknown: TopicValidatorResult.Ignore,
  }
  pubsub.topicValidators.set(bansTopic, async (bearer: Libp2pPeerId, message: Message) => {
    let news: BanNews
    try {
      news = banNewsCodec.decode(message.data)
    } catch {
      return TopicValidatorResult.Reject
    }
    return results[await judge(news, peerIdOf(bearer))]
  })
  pubsub.subscribe(bansTopic)
  return () => {
    pubsub.unsubscribe(bansTopic)
    pubsub.topicValidators.delete(bansTopic)
  }
}

/** Tells the topic's neighbours; nobody there is no error. */
export async function publishBanNews(mesh: Mesh, news: BanNews): Promise<void> {
  await mesh.services.pubsub.publish(bansTopic, banNewsCodec.encode(news))
}
