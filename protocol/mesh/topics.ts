/**
 * The gossip topics and how their traffic is scored. gossipsub's default topic parameters punish a
 * mesh neighbour that delivers little (P3: up to −400 in a topic with no news), and every topic of
 * ours is quiet most of the time: peers would be cut off for having nothing to say.
 * Source: @libp2p/gossipsub src/score/peer-score-params.ts; gossipsub v1.1, "Topic Parameters".
 */
import { createTopicScoreParams, type TopicScoreParams } from '@libp2p/gossipsub/score'
import Type from 'typebox'

declare const brand: unique symbol
/** Where a node stands, roughly: `eu-west`, `us-east`, `local`. It shards the capacity topic. */
export type Region = string & { readonly [brand]: 'Region' }

export const RegionSchema = Type.Unsafe<Region>(
  Type.String({ pattern: '^[a-z0-9]+(-[a-z0-9]+)*$', maxLength: 32 }),
)

/** Signed ban lists; everyone subscribes. */
export const bansTopic = '/potluck/bans/1'

/** Capacity adverts of one region; coordinators and caches subscribe, nodes publish by fan-out. */
export function capacityTopic(region: Region): string {
  return `/potluck/capacity/1/${region}`
}

/** No penalty for silence (P3, P3b); a heavy one for invalid messages (P4), which only liars send. */
function quietTopic(topicWeight: number): TopicScoreParams {
  return createTopicScoreParams({
    topicWeight,
    meshMessageDeliveriesWeight: 0,
    meshFailurePenaltyWeight: 0,
    invalidMessageDeliveriesWeight: -20,
    invalidMessageDeliveriesDecay: 0.97,
  })
}

/** Score parameters of every topic that the regions use. */
export function topicScores(regions: readonly Region[]): Record<string, TopicScoreParams> {
  const scores: Record<string, TopicScoreParams> = { [bansTopic]: quietTopic(1) }
  for (const region of regions) scores[capacityTopic(region)] = quietTopic(0.5)
  return scores
}
