/**
 * How a peer comes by bans: its coordinator tells it, gossip tells it, and while the coordinator is
 * away it asks the peers that it meets. A list that is missing in between is fetched whole from
 * whoever told of the next. All ends in `PeerLists`, which verifies, persists and applies.
 */
import { fetchBans, joinBanTopic, type NewsVerdict, serveBans } from '../bans/index.ts'
import type { Clock } from '../clock.ts'
import { errorCode } from '../errors.ts'
import type { PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import { type Mesh, peerIdOf } from '../mesh/index.ts'
import { createKeyedRate } from '../nat/index.ts'
import type { BanNews } from '../orders/index.ts'
import type { PeerLists } from './lists.ts'

export interface BanFeed {
  /** What the control stream brought. Never rejects. */
  take(news: BanNews, from: PeerId): Promise<void>
  stop(): Promise<void>
}

export type BanFeedComponents = Readonly<{
  mesh: Mesh
  lists: PeerLists
  clock: Clock
  /** Uniform in [0, 1). */
  random: () => number
  /** Whether the coordinator's stream is open: then it tells what is new. */
  isUp: () => boolean
  logger: Logger
}>

const fetchMs = 20_000
/** Fetches under way at once: a home's line carries a megabyte each. */
const fetchesMax = 4
/** How often one bearer of news can make us fetch; a forged number costs a question each. */
const bearerRate = { burst: 4, perS: 0.1 }
/** How often a peer without its coordinator asks around, and how many it asks. */
const askAroundMs = 60_000
const askedAtOnce = 2
/** Of another term than ours: to be learnt with its certificate, from the coordinator. */
const ofAnotherTerm = new Set(['UNKNOWN_TERM', 'STALE_TERM', 'STALE_LIST'])

/** Serves, listens and asks from now on, until `stop()`. */
export async function startBanFeed(components: BanFeedComponents): Promise<BanFeed> {
  const { mesh, lists, clock, random, isUp, logger } = components
  const stopped = new AbortController()
  const { signal } = stopped
  const withinRate = createKeyedRate(bearerRate)
  const fetching = new Map<PeerId, Promise<void>>()

  const fetchNow = async (peer: PeerId): Promise<void> => {
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(new Error('no ban list came in time')), fetchMs)
    try {
      const bans = await fetchBans(
        { peer, have: lists.signedBans && lists.banNumber },
        { mesh, signal: AbortSignal.any([signal, deadline.signal]) },
      )
      if (bans) await lists.take({ bans })
    } catch (error) {
      if (!signal.aborted) logger.debug({ peer, error }, 'no ban list from a peer')
    } finally {
      clearTimeout(timer)
    }
  }
  /** Resolves when the peer was asked, or cannot be now. */
  const fetch = (peer: PeerId): Promise<void> => {
    const under = fetching.get(peer)
    if (under) return under
    if (signal.aborted || fetching.size >= fetchesMax) return Promise.resolve()
    const done = fetchNow(peer).finally(() => fetching.delete(peer))
    fetching.set(peer, done)
    return done
  }
  const isHeld = ({ number, signature }: BanNews): boolean =>
    lists.banNumber === number &&
    lists.signedBans !== undefined &&
    Buffer.compare(lists.signedBans.signature, signature) === 0

  const judge = async (news: BanNews, bearer: PeerId): Promise<NewsVerdict> => {
    try {
      const taken = await lists.takeBanNews(news)
      if (taken === 'gap' && withinRate(bearer, clock.nowMs())) await fetch(bearer)
      return taken === 'taken' || isHeld(news) ? 'genuine' : 'unknown'
    } catch (error) {
      logger.debug({ bearer, error }, 'refused what gossip says of bans')
      return ofAnotherTerm.has(errorCode(error) ?? '') ? 'unknown' : 'forged'
    }
  }
  const onConnect = ({ detail }: CustomEvent<Parameters<typeof peerIdOf>[0]>): void => {
    if (!isUp()) void fetch(peerIdOf(detail))
  }
  const askAround = async (): Promise<void> => {
    while (!signal.aborted) {
      await clock.sleep(askAroundMs * (0.5 + random()), { signal }).catch(() => undefined)
      if (signal.aborted || isUp()) continue
      const peers = mesh.getPeers().map(peerIdOf)
      for (let asked = 0; asked < askedAtOnce && peers.length > 0; asked++) {
        const [peer] = peers.splice(Math.floor(random() * peers.length), 1)
        if (peer) await fetch(peer)
      }
    }
  }

  const unserve = await serveBans({
    ...{ mesh, clock, logger },
    newest: () => lists.signedBans && { number: lists.banNumber, signed: lists.signedBans },
  })
  const leave = joinBanTopic(judge, { mesh })
  mesh.addEventListener('peer:connect', onConnect)
  const asking = askAround()
  return {
    async take(news, from) {
      try {
        if ((await lists.takeBanNews(news)) === 'gap') await fetch(from)
      } catch (error) {
        logger.error({ error }, 'the coordinator told of a ban list that cannot be taken')
      }
    },
    async stop() {
      stopped.abort(new Error('the peer stops'))
      mesh.removeEventListener('peer:connect', onConnect)
      leave()
      await unserve()
      await Promise.all([asking, ...fetching.values()])
    },
  }
}
