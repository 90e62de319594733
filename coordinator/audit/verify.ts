/**
 * Whether a log is whole: every entry hashes to what the next one names, and heads that were signed
 * say the same. Streams, so that years of entries need no memory; pure but for reading. Needs no
 * secret: whoever has the network file and the log can do it.
 */
import { type AuditHead, type AuditProof, openAuditProof } from '../../protocol/audit/index.ts'
import { describeError } from '../../protocol/errors.ts'
import type { NetworkId } from '../../protocol/ids.ts'
import { type AuditEntry, auditEntryCodec, type ChainEnd, emptyChain, entryHash } from './entry.ts'

export type AuditVerdict =
  | Readonly<{
      ok: true
      entries: number
      newest: number
      /** Entries that restores say were lost with the store. */
      lost: number
    }>
  /** `entry`: the first that is bad or missing. */
  | Readonly<{ ok: false; entry: number; problem: string }>

export type AuditSource = Readonly<{
  /** Entries' bytes, in order. A throw is damage at the entry that comes next. */
  entries: AsyncIterable<Uint8Array>
  /** The log's own newest head. */
  proof: AuditProof | undefined
  /** Heads that peers hold: each must be of this very log. */
  shown?: readonly AuditProof[]
}>

type Pinned = Readonly<{ network: NetworkId; rootKey: Uint8Array }>
type Bad = Extract<AuditVerdict, { ok: false }>

/** Never throws: what cannot be read is damage. */
export async function verifyAudit(
  { entries, proof, shown = [] }: AuditSource,
  pinned: Pinned,
): Promise<AuditVerdict> {
  const walk = new Walk(pinned)
  for (const item of proof ? [proof, ...shown] : shown) {
    const problem = walk.expect(item)
    if (problem) return { ok: false, entry: 0, problem }
  }
  try {
    for await (const bytes of entries) {
      const bad = walk.step(bytes)
      if (bad) return bad
    }
  } catch (error) {
    return walk.pending() ?? walk.bad(walk.end.number + 1, describeError(error))
  }
  return walk.finish(proof !== undefined)
}

class Walk {
  readonly #pinned: Pinned
  /** Heads by the number that they sign; two of one number are of two terms. */
  readonly #heads = new Map<number, readonly AuditHead[]>()
  /** Of an older term, of another entry than stands here: lost with the store, if a later entry says so. */
  #unexplained: readonly AuditHead[] = []
  /** Of the newest head of the log itself. */
  #term = 0
  #entries = 0
  #lost = 0
  #end: ChainEnd = emptyChain
  /** A link that does not hold: whether its older or its newer entry is bad, the next link says. */
  #suspect: Readonly<{ older: number; newer: number }> | undefined

  constructor(pinned: Pinned) {
    this.#pinned = pinned
  }

  get end(): ChainEnd {
    return this.#end
  }

  /** Holds the log to a head; a problem when the head itself is not genuine. */
  expect(proof: AuditProof): string | undefined {
    try {
      const head = openAuditProof(proof, this.#pinned)
      const others = this.#heads.get(head.number) ?? []
      if (others.some((other) => other.term === head.term && !isSame(other, head))) {
        return `two signed heads of entry ${head.number} contradict one another: a split view`
      }
      this.#heads.set(head.number, [...others, head])
      this.#term = Math.max(this.#term, head.term)
      return undefined
    } catch (error) {
      return `a head is not genuine: ${describeError(error)}`
    }
  }

  /** Takes the next entry; the verdict when it, or the one before, is bad. */
  step(bytes: Uint8Array): Bad | undefined {
    const number = this.#end.number + 1
    let entry: AuditEntry
    try {
      entry = auditEntryCodec.decode(bytes)
    } catch (error) {
      return this.pending() ?? this.bad(number, describeError(error))
    }
    const isContinued = entry.number !== number && this.#continues(entry)
    const links = isContinued || Buffer.compare(entry.previous, this.#end.hash) === 0
    if (this.#suspect) {
      // The newer one's own bytes are vouched for by this link: then the older one is bad.
      const at = links ? this.#suspect.older : this.#suspect.newer
      return this.bad(at, 'it does not hash to what the next entry names')
    }
    if (entry.number !== number && !isContinued) {
      return this.bad(number, `entry ${entry.number} stands in its place`)
    }
    this.#explain(entry)
    this.#entries += 1
    this.#lost += entry.number - number
    if (!links) this.#suspect = { older: number - 1, newer: number }
    this.#end = { number: entry.number, hash: entryHash(bytes) }
    return this.#suspect ? undefined : this.#checkHead()
  }

  /** The verdict on a link that does not hold, when no further entry says which end is bad. */
  pending(): Bad | undefined {
    if (!this.#suspect) return undefined
    const { older, newer } = this.#suspect
    const heads = this.#heads.get(newer) ?? []
    const at = heads.some((head) => isSame(head, this.#end)) ? older : newer
    return this.bad(Math.max(1, at), 'it does not hash to what the next entry names')
  }

  finish(hasHead: boolean): AuditVerdict {
    const pending = this.pending()
    if (pending) return pending
    const { number } = this.#end
    const furthest = Math.max(0, ...this.#heads.keys())
    if (furthest > number) {
      return this.bad(number + 1, `it is missing: entry ${furthest} was signed`)
    }
    const [unexplained] = this.#unexplained
    if (unexplained) return this.bad(unexplained.number, notSigned)
    if (number > 0 && !hasHead) return this.bad(number, 'no signed head covers it')
    if (number > 0 && !this.#heads.has(number)) {
      return this.bad(furthest + 1, `no signed head covers it: the newest is of ${furthest}`)
    }
    return { ok: true, entries: this.#entries, newest: number, lost: this.#lost }
  }

  bad(entry: number, problem: string): Bad {
    return {
      ok: false,
      entry: Math.max(1, entry),
      problem: `entry ${Math.max(1, entry)}: ${problem}`,
    }
  }

  #checkHead(): Bad | undefined {
    const { number } = this.#end
    const others = (this.#heads.get(number) ?? []).filter((head) => !isSame(head, this.#end))
    if (others.some(({ term }) => term >= this.#term)) return this.bad(number, notSigned)
    this.#unexplained = [...this.#unexplained, ...others]
    return undefined
  }

  /** An entry that owns up to what was lost, under a term that the root key had to raise for it. */
  #explain({ kind, continues }: AuditEntry): void {
    if (!continues || (kind !== 'restore' && kind !== 'entries-lost')) return
    try {
      const lost = openAuditProof(continues, this.#pinned)
      if (lost.term >= this.#term) return
      this.#unexplained = this.#unexplained.filter(
        ({ number, term }) => number > lost.number || term > lost.term,
      )
    } catch {
      // Nobody signed it: it explains nothing.
    }
  }

  /** A restore names the head that it follows, which a peer had kept and the root key vouches for. */
  #continues({ kind, number, previous, continues }: AuditEntry): boolean {
    if (kind !== 'restore' || !continues || number <= this.#end.number) return false
    try {
      const head = openAuditProof(continues, this.#pinned)
      const isNext = head.number === number - 1 && Buffer.compare(head.hash, previous) === 0
      return isNext && head.term < this.#term
    } catch {
      return false
    }
  }
}

const notSigned = 'it is not the one that was signed'

function isSame(a: Readonly<{ hash: Uint8Array }>, b: Readonly<{ hash: Uint8Array }>): boolean {
  return Buffer.compare(a.hash, b.hash) === 0
}
