/**
 * Lines as caches measured them. A cache tells of a node when it has tested it, which may be before
 * the node says hello to a coordinator that has just started: so they are kept by peer, apart from
 * sessions.
 */
import { LRUCache } from 'lru-cache'
import type { Link, UpMessage } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'

export type LinkTests = Extract<UpMessage, { readonly type: 'link-tests' }>

/** Beyond, the longest untested is forgotten: it then matches no minimum until its next test. */
const linksMax = 50_000

export interface MeasuredLinks {
  /** A cache's news; `onChange` is called for each node that it is about. */
  take(tests: LinkTests, onChange: (peer: PeerId) => void): void
  of(peer: PeerId): Link | undefined
}

export function createMeasuredLinks(): MeasuredLinks {
  const links = new LRUCache<PeerId, Link>({ max: linksMax })
  return {
    take({ results }, onChange) {
      for (const { peer, link } of results) links.set(peer, link)
      for (const { peer } of results) onChange(peer)
    },
    of: (peer) => links.get(peer),
  }
}
