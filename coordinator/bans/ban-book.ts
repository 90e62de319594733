/**
 * The coordinator's bans: records with their evidence, and the signed list that they make. A list is
 * durable, with the records it stands for, before anybody sees it; numbers only rise and each list
 * names the hash of the one before, so nobody can be shown two stories. Changes that come together
 * make one list.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '../../protocol/clock.ts'
import type { NetworkId, PeerId, Term } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import {
  type Ban,
  type BanList,
  type BanNews,
  banChangesMax,
  banListCodec,
  banNewsOf,
  bansMax,
  sortedBans,
} from '../../protocol/orders/index.ts'
import type { Signer } from '../../protocol/signing/index.ts'
import { collection, type Store, type StoreOperation } from '../../protocol/store/index.ts'
import { type Signed, SignedSchema } from '../../protocol/wire/index.ts'
import type { AuditSink } from './audit-sink.ts'
import { adopted, banned, isInForce, isShielded, lifted } from './decide.ts'
import { BanNotFoundError, BanRefusedError } from './errors.ts'
import { type BanRecord, BanRecordSchema, type BanRequest, type UnbanRequest } from './types.ts'

/** A new list, durable by now. */
export type BanChange = Readonly<{
  signed: Signed
  /** Absent where the list changed too much for it. */
  news?: BanNews
  /** Whom it bans that the one before did not. */
  peers: readonly PeerId[]
}>

export interface BanBook {
  /** The newest list, of at most {@link bansMax} bans: the newest ones. */
  readonly signed: Signed
  readonly number: number
  /** Also of those that the list has no room for. */
  isBanned(peer: PeerId): boolean
  get(peer: PeerId): BanRecord | undefined
  /** Newest first, those that are over included if `all`. */
  list(options?: { readonly all?: boolean; readonly limit?: number }): readonly BanRecord[]
  /** Resolves when the list with it is durable and was told. @throws {BanRefusedError} */
  ban(request: BanRequest): Promise<BanRecord>
  /** @throws {BanNotFoundError} */
  unban(request: UnbanRequest): Promise<BanRecord>
  /** Keeps what the banned say for themselves; changes nothing else. @throws {BanNotFoundError} */
  appeal(peer: PeerId, note: string): Promise<BanRecord>
  /**
   * Goes on from a list of an earlier term that the store did not know, which the caller has verified:
   * its bans hold, the next list names its hash and has a higher number. Older bans that it does not
   * name were lifted since, and hold no more.
   */
  adopt(signed: Signed): Promise<void>
  onChange(listener: (change: BanChange) => void): () => void
  /** Ends the watch over what expires. */
  stop(): Promise<void>
}

export type BanBookComponents = Readonly<{
  store: Store
  signer: Signer
  network: NetworkId
  term: Term
  /** Boot clock, for waiting. */
  clock: Clock
  /** Coordinator's time. */
  nowMs: () => number
  /** Whom nothing automatic may ban: caches and the coordinator, which the operator trusts. */
  isTrusted: (peer: PeerId) => boolean
  audit: AuditSink
  logger: Logger
}>

/** Records kept; beyond, those that ended longest ago are forgotten. */
const recordsMax = 100_000
/** How late an expiry may be. */
const expiryMs = 1_000

type Change = Readonly<{
  peer: PeerId
  /** Throws to refuse. The same record: nothing changes. */
  decide(before: BanRecord | undefined, nowMs: number): BanRecord
  resolve(record: BanRecord): void
  reject(error: unknown): void
}>

/** Loads the book, or signs the first list. A list of an older term is signed anew as the next one. */
export async function openBanBook(components: BanBookComponents): Promise<BanBook> {
  const records = collection(components.store, 'bans', BanRecordSchema)
  const lists = collection(components.store, 'lists', SignedSchema)
  const known = new Map<PeerId, BanRecord>()
  for await (const [, record] of records.entries()) known.set(record.peer, record)
  const signed = await lists.get('bans')
  const book = new Book(components, known, signed)
  await book.start()
  return book
}

class Book implements BanBook {
  readonly #parts: BanBookComponents
  readonly #records: Map<PeerId, BanRecord>
  readonly #listeners = new Set<(change: BanChange) => void>()
  readonly #stopped = new AbortController()
  #pending: Change[] = []
  #list: BanList | undefined
  #signed: Signed | undefined
  #writing: Promise<void> | undefined
  #expiring: Promise<void> = Promise.resolve()

  constructor(parts: BanBookComponents, records: Map<PeerId, BanRecord>, signed?: Signed) {
    this.#parts = parts
    this.#records = records
    this.#signed = signed
    this.#list = signed && banListCodec.decode(signed.payload)
  }

  async start(): Promise<void> {
    if (this.#list?.term !== this.#parts.term) await this.#commit(new Map(), { isForced: true })
    this.#expiring = this.#watchExpiry()
  }

  get signed(): Signed {
    return this.#signed as Signed
  }

  get number(): number {
    return this.#list?.number ?? 0
  }

  isBanned(peer: PeerId): boolean {
    const record = this.#records.get(peer)
    // Until the list without it is out, what has expired holds: all say the same.
    return record !== undefined && !record.lifted
  }

  get(peer: PeerId): BanRecord | undefined {
    return this.#records.get(peer)
  }

  list({ all = false, limit = Number.POSITIVE_INFINITY } = {}): readonly BanRecord[] {
    const wanted = [...this.#records.values()].filter((record) => all || !record.lifted)
    return wanted
      .sort((a, b) => b.sinceMs - a.sinceMs || (a.peer < b.peer ? -1 : 1))
      .slice(0, limit)
  }

  async ban(request: BanRequest): Promise<BanRecord> {
    const { peer, source, by } = request
    const record = await this.#change(peer, (before, nowMs) => {
      if (source !== 'operator') {
        if (this.#parts.isTrusted(peer)) {
          throw new BanRefusedError(peer, 'the operator trusts it; ban it by hand if need be')
        }
        if (isShielded(before, nowMs)) {
          throw new BanRefusedError(peer, 'an operator lifted its ban and shields it for now')
        }
      }
      return banned(before, request, nowMs)
    })
    const { reason, expiresMs, times, note } = record
    const facts = { reason, source, times, note, evidence: record.evidence.length }
    await this.#parts.audit({
      ...{ act: 'ban', by, subject: peer },
      facts: { ...facts, ...(expiresMs === undefined ? {} : { expiresMs }) },
    })
    return record
  }

  async unban(request: UnbanRequest): Promise<BanRecord> {
    const { peer, by, note = '', shieldMs = 0 } = request
    const record = await this.#change(peer, (before, nowMs) => {
      if (!before) throw new BanNotFoundError(peer)
      return lifted(before, request, nowMs)
    })
    await this.#parts.audit({ act: 'unban', by, subject: peer, facts: { note, shieldMs } })
    return record
  }

  async appeal(peer: PeerId, note: string): Promise<BanRecord> {
    const record = await this.#change(peer, (before, atMs) => {
      if (!before) throw new BanNotFoundError(peer)
      return { ...before, appeal: { atMs, note } }
    })
    await this.#parts.audit({ act: 'appeal', by: peer, subject: peer, facts: { note } })
    return record
  }

  async adopt(signed: Signed): Promise<void> {
    const list = banListCodec.decode(signed.payload)
    // Changes that are under way come first: they are part of what the adopted list goes beyond.
    while (this.#writing) await this.#writing.catch(() => undefined)
    const nowMs = this.#parts.nowMs()
    const changed = adopted(this.#records, list, nowMs)
    const before = { list: this.#list, signed: this.#signed }
    // Numbers that lists of this term have used already are not used again.
    this.#list = { ...list, number: Math.max(list.number, this.number) }
    this.#signed = signed
    try {
      await this.#commit(changed, { isForced: true })
    } catch (error) {
      this.#list = before.list
      this.#signed = before.signed
      throw error
    }
    await this.#parts.audit({
      ...{ act: 'bans-continued', by: 'coordinator', subject: `list ${list.number}` },
      facts: { number: list.number, term: list.term, bans: list.bans.length },
    })
  }

  onChange(listener: (change: BanChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#expiring
    await this.#writing?.catch(() => undefined)
  }

  #change(peer: PeerId, decide: Change['decide']): Promise<BanRecord> {
    const { promise, resolve, reject } = Promise.withResolvers<BanRecord>()
    this.#pending.push({ peer, decide, resolve, reject })
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
    return promise
  }

  /** All that waits, in steps that each fit one list's news. */
  async #write(): Promise<void> {
    // What is asked for in this turn of the event loop makes one list.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#pending.length > 0) {
      const step = this.#pending.splice(0, banChangesMax)
      const changed = new Map<PeerId, BanRecord>()
      const settle: (() => void)[] = []
      const nowMs = this.#parts.nowMs()
      for (const { peer, decide, resolve, reject } of step) {
        try {
          const record = decide(changed.get(peer) ?? this.#records.get(peer), nowMs)
          changed.set(peer, record)
          settle.push(() => resolve(record))
        } catch (error) {
          reject(error)
        }
      }
      try {
        await this.#commit(changed)
        for (const done of settle) done()
      } catch (error) {
        for (const { reject } of step) reject(error)
      }
    }
  }

  /** Durable first, then in memory, then told. */
  async #commit(changed: ReadonlyMap<PeerId, BanRecord>, { isForced = false } = {}): Promise<void> {
    const { store } = this.#parts
    const records = collection(store, 'bans', BanRecordSchema)
    const all = new Map([...this.#records, ...changed])
    const operations: StoreOperation[] = []
    for (const [peer, record] of changed) operations.push(records.putOperation(peer, record))
    for (const peer of forgettable(all)) {
      all.delete(peer)
      operations.push(records.deleteOperation(peer))
    }
    const before = this.#list
    const bans = listed(all.values())
    const isNew = isForced || !before || !isSameBans(before.bans, bans)
    let next: Readonly<{ list: BanList; signed: Signed }> | undefined
    if (isNew) {
      next = this.#sign(bans)
      operations.push(collection(store, 'lists', SignedSchema).putOperation('bans', next.signed))
    }
    if (operations.length > 0) await store.batch(operations)
    for (const [peer, record] of changed) this.#records.set(peer, record)
    for (const peer of [...this.#records.keys()]) if (!all.has(peer)) this.#records.delete(peer)
    if (!next) return
    this.#list = next.list
    this.#signed = next.signed
    const held = new Set(before?.bans.map(({ peer }) => peer))
    const news = before && banNewsOf(before, next.list, next.signed.signature)
    this.#tell({
      signed: next.signed,
      ...(news ? { news } : {}),
      peers: bans.flatMap(({ peer }) => (held.has(peer) ? [] : [peer])),
    })
  }

  #sign(bans: Ban[]): Readonly<{ list: BanList; signed: Signed }> {
    const { network, term, nowMs, signer } = this.#parts
    const number = this.#list ? this.#list.number + 1 : 0
    const previous = this.#signed ? hashOf(this.#signed.payload) : new Uint8Array(32)
    const list: BanList = { v: 1, network, term, number, previous, issuedMs: nowMs(), bans }
    return { list, signed: signer.sign('ban-list', banListCodec.encode(list)) }
  }

  /** A listener's fault must not make a durable ban look refused. */
  #tell(change: BanChange): void {
    for (const listener of this.#listeners) {
      try {
        listener(change)
      } catch (error) {
        this.#parts.logger.error({ error }, 'a listener to bans threw')
      }
    }
  }

  async #watchExpiry(): Promise<void> {
    const { clock, nowMs, logger } = this.#parts
    const { signal } = this.#stopped
    while (!signal.aborted) {
      const isOver = (record: BanRecord): boolean => !record.lifted && !isInForce(record, nowMs())
      const over = [...this.#records.values()].filter(isOver).map(({ peer }) => peer)
      await Promise.all(over.map((peer) => this.#expire(peer))).catch((error: unknown) =>
        logger.error({ error }, 'bans that are over could not be taken off the list'),
      )
      await clock.sleep(expiryMs, { signal }).catch(() => undefined)
    }
  }

  async #expire(peer: PeerId): Promise<void> {
    const record = await this.#change(peer, (before, nowMs) => {
      if (!before) throw new BanNotFoundError(peer)
      // Prolonged meanwhile.
      if (before.lifted || isInForce(before, nowMs)) return before
      return lifted(before, { peer, by: 'expired' }, nowMs)
    })
    if (!record.lifted) return
    await this.#parts.audit({
      act: 'unban',
      by: 'coordinator',
      subject: peer,
      facts: { expired: true },
    })
  }
}

/** What the signed list says of the records: the newest of those in force. */
function listed(records: Iterable<BanRecord>): Ban[] {
  const inForce = [...records].filter((record) => !record.lifted)
  if (inForce.length > bansMax) {
    inForce.sort((a, b) => b.sinceMs - a.sinceMs)
    inForce.length = bansMax
  }
  return sortedBans(inForce.map(({ peer, reason, sinceMs }) => ({ peer, reason, sinceMs })))
}

function forgettable(records: ReadonlyMap<PeerId, BanRecord>): readonly PeerId[] {
  const over = records.size - recordsMax
  if (over <= 0) return []
  const ended = [...records.values()].filter((record) => record.lifted)
  ended.sort((a, b) => (a.lifted?.atMs ?? 0) - (b.lifted?.atMs ?? 0))
  return ended.slice(0, over).map(({ peer }) => peer)
}

function isSameBans(a: readonly Ban[], b: readonly Ban[]): boolean {
  if (a.length !== b.length) return false
  return a.every(({ peer, reason, sinceMs }, at) => {
    const other = b[at]
    return other?.peer === peer && other.reason === reason && other.sinceMs === sinceMs
  })
}

function hashOf(payload: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(payload).digest())
}
