/**
 * The audit log as the coordinator writes it. An act and what it changes are one synced batch, with
 * the head that signs them: no crash leaves the one without the other, and the log on disk is
 * always covered to its last byte. One batch is under way at a time, because each entry hashes the
 * one before; what comes meanwhile joins the next batch, under one signature.
 */
import { type AuditProof, auditHeadCodec } from '../../protocol/audit/index.ts'
import type { NetworkId, Term } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { Signer } from '../../protocol/signing/index.ts'
import type { Store, StoreOperation } from '../../protocol/store/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'
import { type AuditAct, appendAct, assertKind, type ChainEnd, entryHash } from './entry.ts'
import { AuditBusyError } from './errors.ts'
import { type AuditRecords, auditRecords, entryKey, headKey } from './records.ts'
import { type RecoveredChain, recoverChain } from './recover.ts'

export interface AuditLog {
  /** Of the newest durable entry; undefined while there is none. */
  readonly proof: AuditProof | undefined
  /** Entries so far: the number of the newest durable one. */
  readonly count: number
  /**
   * Writes `acts`, and `operations` with them: all or none, on disk when it resolves.
   * @throws {AuditBusyError} @throws as `Store.batch`
   */
  record(acts: readonly AuditAct[], operations?: readonly StoreOperation[]): Promise<void>
  /** Goes on from a head that peers hold and this log does not reach; what is missing is named. */
  continueFrom(proof: AuditProof, facts: AuditAct['facts']): Promise<void>
  /** The hash of an entry, undefined where the log has none of this number. */
  hashOf(number: number): Promise<Uint8Array | undefined>
}

/** What those see of it who only write. */
export type AuditRecorder = Pick<AuditLog, 'record'>

export type AuditLogInit = Readonly<{
  network: NetworkId
  term: Term
  /** The root key's word on `signer`. */
  certificate: Signed
}>

export type AuditLogComponents = Readonly<{
  store: Store
  /** The order key. */
  signer: Signer
  /** Coordinator's time. */
  nowMs: () => number
  logger: Logger
}>

type Waiting = Readonly<{
  acts: readonly AuditAct[]
  operations: readonly StoreOperation[]
  /** The chain goes on from here, if it is not there yet. */
  from?: ChainEnd
  resolve: () => void
  reject: (error: unknown) => void
}>

/** Far beyond what is under way at once; a bound for when the disk hangs. */
const waitingMax = 20_000
/** One signature, 30 µs to 120 µs, for up to so many; beyond, the first would wait for the last. */
const groupMax = 256

/** Opens the log at its end, and writes down when that is not where its head says. */
export async function openAuditLog(
  init: AuditLogInit,
  components: AuditLogComponents,
): Promise<AuditLog> {
  const records = auditRecords(components.store)
  const recovered = await recoverChain(records)
  const log = new Log(init, components, { records, recovered })
  const { problem } = recovered
  if (problem) {
    components.logger.error(
      { problem },
      'the audit log is damaged; `potluck audit verify` says where',
    )
    await log.record([{ kind: 'damage-found', by: 'coordinator', facts: { problem } }])
  }
  return log
}

class Log implements AuditLog {
  readonly #init: AuditLogInit
  readonly #components: AuditLogComponents
  readonly #records: AuditRecords
  readonly #queue: Waiting[] = []
  #end: ChainEnd
  #proof: AuditProof | undefined
  #knowsCertificate: boolean
  #working: Promise<void> | undefined

  constructor(
    init: AuditLogInit,
    components: AuditLogComponents,
    { records, recovered }: Readonly<{ records: AuditRecords; recovered: RecoveredChain }>,
  ) {
    this.#init = init
    this.#components = components
    this.#records = records
    this.#end = recovered.end
    this.#proof = recovered.proof
    this.#knowsCertificate = recovered.terms.has(init.term)
  }

  get proof(): AuditProof | undefined {
    return this.#proof
  }

  get count(): number {
    return this.#end.number
  }

  record(acts: readonly AuditAct[], operations: readonly StoreOperation[] = []): Promise<void> {
    for (const act of acts) assertKind(act)
    return this.#enqueue({ acts, operations })
  }

  continueFrom(proof: AuditProof, facts: AuditAct['facts']): Promise<void> {
    const { number, hash } = auditHeadCodec.decode(proof.head.payload)
    const missing = { lastKnown: this.#end.number, continuedFrom: number }
    const act = { kind: 'restore', by: 'coordinator', facts: { ...facts, ...missing } }
    const acts = [{ ...act, continues: proof }]
    return this.#enqueue({ acts, operations: [], from: { number, hash } })
  }

  #enqueue(what: Omit<Waiting, 'resolve' | 'reject'>): Promise<void> {
    if (this.#queue.length >= waitingMax) return Promise.reject(new AuditBusyError(waitingMax))
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#queue.push({ ...what, resolve, reject })
    this.#working ??= this.#work()
    return promise
  }

  async hashOf(number: number): Promise<Uint8Array | undefined> {
    const bytes = await this.#records.entries.get(entryKey(number))
    return bytes && entryHash(bytes)
  }

  async #work(): Promise<void> {
    // Let all callers of this turn of the event loop join the first group.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const group = this.#queue.splice(0, groupMax)
      try {
        await this.#write(group)
        for (const { resolve } of group) resolve()
      } catch (error) {
        // Nothing of it is on disk, and the chain stands where it stood.
        for (const { reject } of group) reject(error)
      }
    }
    this.#working = undefined
  }

  async #write(group: readonly Waiting[]): Promise<void> {
    const { store, nowMs } = this.#components
    const operations = group.flatMap((item) => item.operations)
    let end = this.#end
    for (const { acts, from } of group) {
      if (from && from.number <= end.number) continue
      end = from ?? end
      for (const act of acts) {
        const next = appendAct(end, act, nowMs())
        end = next.end
        operations.push(this.#records.entries.putOperation(entryKey(end.number), next.bytes))
      }
    }
    if (end === this.#end) {
      await store.batch(operations)
      return
    }
    const proof = this.#sign(end)
    operations.push(this.#records.heads.putOperation(headKey, proof.head))
    if (!this.#knowsCertificate) operations.push(this.#certificateOperation())
    await store.batch(operations)
    this.#knowsCertificate = true
    this.#end = end
    this.#proof = proof
  }

  #sign(end: ChainEnd): AuditProof {
    const { network, term, certificate } = this.#init
    const { signer, nowMs } = this.#components
    const payload = auditHeadCodec.encode({ v: 1, network, term, ...end, issuedMs: nowMs() })
    return { certificate, head: signer.sign('audit-head', payload) }
  }

  #certificateOperation(): StoreOperation {
    const { term, certificate } = this.#init
    return this.#records.certificates.putOperation(entryKey(term), certificate)
  }
}
