/**
 * The newest ban list that peers hold, taken up by a coordinator whose backup is older: the list goes
 * on from it, number and chain, so that no peer is ever asked to go back. Peers refuse an older list
 * than theirs, so until it is taken up they cannot be served.
 */

import { fetchBans } from '../../protocol/bans/index.ts'
import type { Hello } from '../../protocol/control/index.ts'
import type { PeerId, Term } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { Mesh } from '../../protocol/mesh/index.ts'
import type { BanBook } from '../bans/index.ts'
import type { Authority } from './authority.ts'
import type { Terms } from './terms.ts'

export interface ContinueBans {
  /** True: the peer claims a newer list, which is being asked for; it should come back in a moment. */
  mustWaitFor(peer: PeerId, hello: Pick<Hello, 'banNumber' | 'term'>): boolean
  stop(): Promise<void>
}

export type ContinueBansComponents = Readonly<{
  mesh: Mesh
  bans: Pick<BanBook, 'number' | 'adopt'>
  terms: Pick<Terms, 'current' | 'openBans' | 'bansBase' | 'continueBansFrom'>
  authority: Pick<Authority, 'lose'>
  logger: Logger
}>

/** A megabyte over a slow home's line. */
const fetchMs = 20_000
const fetchesMax = 4
/** Peers that claimed a list and had none worth having; forgotten oldest first. */
const disprovedMax = 10_000

export function createContinueBans(components: ContinueBansComponents): ContinueBans {
  const { mesh, bans, terms, authority, logger } = components
  const stopped = new AbortController()
  const asking = new Map<PeerId, Promise<void>>()
  /** The number that each claimed: it is asked again only when it claims more. */
  const disproved = new Map<PeerId, number>()

  /** A term numbers on from the last list that it knew: of an earlier term it may not have known all. */
  const isNews = (number: number, term: Term): boolean =>
    number > (term < terms.current.term ? terms.bansBase : bans.number)

  const ask = async (peer: PeerId, claimed: number): Promise<void> => {
    try {
      const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(fetchMs)])
      const signed = await fetchBans({ peer, have: claimed - 1 }, { mesh, signal })
      const list = signed && terms.openBans(signed)
      if (!list || !isNews(list.number, list.term))
        throw new Error('it holds no newer list of ours')
      if (list.term === terms.current.term) {
        authority.lose('gone-back', `${peer} holds ban list ${list.number} of this term`)
        return
      }
      await bans.adopt(signed)
      await terms.continueBansFrom(list.number)
      logger.warn({ peer, number: list.number, bans: list.bans.length }, 'a newer ban list goes on')
    } catch (error) {
      if (stopped.signal.aborted) return
      logger.warn({ peer, claimed, error }, 'a peer claims a newer ban list and shows none')
      disproved.delete(peer)
      disproved.set(peer, claimed)
      const [oldest] = disproved.keys()
      if (disproved.size > disprovedMax && oldest) disproved.delete(oldest)
    }
  }
  return {
    mustWaitFor(peer, { banNumber, term }) {
      if (!isNews(banNumber, term) || banNumber <= (disproved.get(peer) ?? -1)) return false
      if (asking.has(peer) || asking.size >= fetchesMax) return true
      asking.set(
        peer,
        ask(peer, banNumber).finally(() => asking.delete(peer)),
      )
      return true
    },
    async stop() {
      stopped.abort(new Error('the coordinator stops'))
      await Promise.all(asking.values())
    },
  }
}
