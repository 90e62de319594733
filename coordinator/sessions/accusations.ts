/**
 * What peers say of others that misbehaved, written down with the evidence: which chunk, what it
 * should have been and what came. Whoever reads the log can tell one liar whom many name from one
 * accuser who names many. The first of a kind and then each power of two is logged: a liar, or an
 * accuser, must not fill the disk.
 */
import { LRUCache } from 'lru-cache'
import type { Misbehaviour } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'

const offendersMax = 10_000
/** More than that say the same. */
const accusersMax = 64

/** Takes an accusation by `by`. @param logger where the evidence goes */
export function createAccusations({ logger }: { readonly logger: Logger }) {
  const known = new LRUCache<string, { count: number; readonly accusers: Set<PeerId> }>({
    max: offendersMax,
  })
  return (by: PeerId, evidence: Misbehaviour): void => {
    const key = `${evidence.peer} ${evidence.kind}`
    const entry = known.get(key) ?? { count: 0, accusers: new Set<PeerId>() }
    known.set(key, entry)
    entry.count += 1
    if (entry.accusers.size < accusersMax) entry.accusers.add(by)
    if (!Number.isInteger(Math.log2(entry.count))) return
    const { count, accusers } = entry
    logger.warn(
      { by, ...evidence, count, accusers: accusers.size },
      'a peer is accused of misbehaviour',
    )
  }
}
