/**
 * The terms that this store has lived through, with the keys that signed in each. What nodes hold from
 * before a restore was signed with an older key: without that key it would be a stranger's, and all
 * that a backup does not know would be lost. A store that has seen a newer term than its network file
 * certifies belongs to a deposed coordinator, which must not start.
 */
import Type from 'typebox'
import { PotluckError } from '../../protocol/errors.ts'
import type { Term } from '../../protocol/ids.ts'
import type { Network } from '../../protocol/network/index.ts'
import {
  type Allocation,
  allocationCodec,
  type BanList,
  banListCodec,
  openTermCertificate,
  type TermCertificate,
} from '../../protocol/orders/index.ts'
import { isSignedBy } from '../../protocol/signing/index.ts'
import { collection, type Store } from '../../protocol/store/index.ts'
import { type Codec, CountSchema, type Signed, SignedSchema } from '../../protocol/wire/index.ts'

const TermRecordSchema = Type.Object({
  certificate: SignedSchema,
  /** Its first reconnect window is over; absent: the term may still find what the store lacks. */
  settled: Type.Optional(Type.Boolean()),
  /** The last ban list of an earlier term that is continued in this one. */
  bansBase: Type.Optional(CountSchema()),
})

/** The network file is of before the store's last term. */
export class DeposedError extends PotluckError {
  constructor(term: Term, newest: Term) {
    super(
      'COORDINATOR_DEPOSED',
      `the network file certifies term ${term}; this store has served term ${newest}: copy the ` +
        'newest network.json here, or raise the term with `potluck network term`',
    )
  }
}

export interface Terms {
  readonly current: TermCertificate
  /**
   * A restore: the term is new here, the store is not, and what nodes hold may be newer than it. True
   * until the first reconnect window has passed, over restarts.
   */
  readonly isRestored: boolean
  markSettled(): Promise<void>
  /** The number of the last ban list of an earlier term that this one knows of. */
  readonly bansBase: number
  continueBansFrom(number: number): Promise<void>
  /** An allocation that a coordinator of this network signed in the term that it names. */
  openAllocation(signed: Signed): Allocation | undefined
  openBans(signed: Signed): BanList | undefined
  /** Whether the root key certified a later term than ours. */
  isSucceededBy(certificate: Signed): boolean
}

/** Puts the network file's term on record. @param banNumber of the newest list here @throws {DeposedError} */
export async function openTerms(
  network: Network,
  { store, banNumber }: { readonly store: Store; readonly banNumber: number },
): Promise<Terms> {
  const records = collection(store, 'terms', TermRecordSchema)
  const known = new Map<Term, TermCertificate>()
  for await (const [, { certificate }] of records.entries()) {
    const opened = openTermCertificate(certificate, network)
    known.set(opened.term, opened)
  }
  const current = openTermCertificate(network.certificate, network)
  const newest = Math.max(0, ...known.keys()) as Term
  if (newest > current.term) throw new DeposedError(current.term, newest)
  let isRestored = newest > 0 && newest < current.term
  const key = String(current.term)
  const kept = await records.get(key)
  // The first list of a term is the one before it, signed anew under the next number.
  let record = kept ?? { certificate: network.certificate, bansBase: Math.max(0, banNumber - 1) }
  if (kept) isRestored = known.size > 1 && !kept.settled
  else await records.put(key, record)
  const change = async (changes: Partial<typeof record>): Promise<void> => {
    record = { ...record, ...changes }
    await records.put(key, record)
  }
  known.set(current.term, current)
  return {
    current,
    get isRestored() {
      return isRestored
    },
    markSettled: () => change({ settled: true }),
    get bansBase() {
      return record.bansBase ?? 0
    },
    continueBansFrom: (number) => change({ bansBase: number }),
    openAllocation: (signed) => openWith('allocation', allocationCodec, signed, known.values()),
    openBans: (signed) => openWith('ban-list', banListCodec, signed, known.values()),
    isSucceededBy(certificate) {
      try {
        return openTermCertificate(certificate, network).term > current.term
      } catch {
        return false
      }
    },
  }
}

/** Newest term first: that is whose most are. */
function openWith<T extends Readonly<{ network: string; term: Term }>>(
  kind: 'allocation' | 'ban-list',
  codec: Codec<T>,
  signed: Signed,
  certificates: Iterable<TermCertificate>,
): T | undefined {
  const newestFirst = [...certificates].sort((a, b) => b.term - a.term)
  for (const { term, network, orderKey } of newestFirst) {
    if (!isSignedBy(kind, signed, orderKey)) continue
    try {
      const opened = codec.decode(signed.payload)
      if (opened.term === term && opened.network === network) return opened
    } catch {
      return undefined // ours, and not to be read: of a later version
    }
  }
  return undefined
}
