/**
 * Makes a new ban list known: to every open stream at once, to the gossip topic, and to whoever
 * asks; and cuts those it bans. All of it only once the list is durable.
 */
import { joinBanTopic, publishBanNews, serveBans } from '../../protocol/bans/index.ts'
import type { Clock } from '../../protocol/clock.ts'
import type { DownMessage } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { disconnect, type Mesh } from '../../protocol/mesh/index.ts'
import type { BanBook } from './ban-book.ts'

export type SpreadBansComponents = Readonly<{
  book: BanBook
  mesh: Mesh
  /** To every connected peer. */
  broadcast: (message: DownMessage) => void
  /** Ends a peer's control stream with a last word. */
  refuse: (peer: PeerId) => void
  /** A plan may depend on it. */
  onBanned: () => void
  clock: Clock
  logger: Logger
}>

/** For the last word, that it is banned, to reach the peer. */
const farewellMs = 200

/** Spreads each list until the returned function is called. */
export async function spreadBans(components: SpreadBansComponents): Promise<() => Promise<void>> {
  const { book, mesh, broadcast, refuse, onBanned, clock, logger } = components
  const stopped = new AbortController()
  const { signal } = stopped
  const unserve = await serveBans({
    ...{ mesh, clock, logger },
    newest: () => ({ number: book.number, signed: book.signed }),
  })
  // It tells what is new itself; what others tell it passes on while it is the newest.
  const leave = joinBanTopic(
    async ({ signature }) =>
      Buffer.compare(signature, book.signed.signature) === 0 ? 'genuine' : 'unknown',
    { mesh },
  )
  const cut = async (peers: readonly PeerId[]): Promise<void> => {
    for (const peer of peers) refuse(peer)
    await clock.sleep(farewellMs, { signal }).catch(() => undefined)
    for (const peer of peers) disconnect(mesh, peer)
  }
  const forget = book.onChange(({ signed, news, peers }) => {
    broadcast({ type: 'lists', ...(news ? { banNews: news } : { bans: signed }) })
    if (news) {
      publishBanNews(mesh, news).catch((error: unknown) =>
        logger.warn({ error }, 'a ban could not be published; streams and questions carry it'),
      )
    }
    if (peers.length === 0) return
    logger.warn({ peers: peers.slice(0, 16), count: peers.length }, 'peers are banned')
    void cut(peers)
    onBanned()
  })
  return async () => {
    forget()
    stopped.abort()
    leave()
    await unserve()
  }
}
