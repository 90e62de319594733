/**
 * What happens when a peer is caught: it is written down, reported with the facts, and, when it
 * was too much, dropped everywhere at once. Without one place for it, a liar that one download has
 * found out would go on being served, and asked by the next.
 */
import type { Clock } from '../clock.ts'
import type { PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import type { Misbehaviour, PeerBook } from './peer-book.ts'

export type AccuserComponents = Readonly<{
  book: PeerBook
  clock: Clock
  logger: Logger
  /** For whoever judges beyond this node. */
  report: (what: Misbehaviour) => void
  /** It is neither asked nor served from now on, for a while. */
  onDropped: (peer: PeerId) => void
}>

/** Takes accusations. */
export function createAccuser(components: AccuserComponents): (what: Misbehaviour) => void {
  const { book, clock, logger, report, onDropped } = components
  return (what) => {
    const nowMs = clock.nowMs()
    logger.warn(what, 'a peer misbehaved in a swarm')
    book.note(what, nowMs)
    report(what)
    if (!book.isDropped(what.peer, nowMs)) return
    logger.warn({ peer: what.peer }, 'a peer is neither asked nor served for a while')
    onDropped(what.peer)
  }
}
