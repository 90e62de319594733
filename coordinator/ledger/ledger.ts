/**
 * Who owes whom: double-entry, in whole micro-units. Every transaction's postings sum to zero and
 * lie in one synced batch with the balances, totals and meters that they change, so that no crash
 * leaves one without the others. Writes follow one another: a balance is read, added to, written.
 */
import assert from 'node:assert/strict'
import type { Fence, SlotId } from '../../protocol/ids.ts'
import type { Store, StoreOperation } from '../../protocol/store/index.ts'
import {
  type AccountName,
  type ChargeRecord,
  ledgerRecords,
  monthOf,
  type Posting,
  type UsageRecord,
  usageKey,
} from './records.ts'
import { type BillingTerms, chargedFor, earnedFor } from './terms.ts'

/** Seconds `fromSecond`..`toSecond` of one epoch's running time, in the hour `hourMs`. */
export type Charge = Readonly<{
  slot: SlotId
  fence: Fence
  terms: BillingTerms
  fromSecond: number
  toSecond: number
  hourMs: number
}>

export interface Ledger {
  /** Books `charges`, with `operations`: all or none, on disk when it resolves. @throws as `Store.batch` */
  charge(charges: readonly Charge[], operations?: readonly StoreOperation[]): Promise<void>
  /** Pays out what was held long enough; how many accounts were. Whatever is repeated pays nothing. */
  release(): Promise<number>
  balance(account: AccountName): Promise<bigint>
  balances(): AsyncIterable<readonly [AccountName, bigint]>
  /** An organization's totals of a month (`YYYY-MM`), or of all months. */
  usage(organizationId: string, month?: string): Promise<readonly UsageRecord[]>
}

export type LedgerComponents = Readonly<{
  store: Store
  /** Coordinator's time. */
  nowMs: () => number
}>

const dayMs = 86_400_000

export function createLedger(
  { heldDays }: Readonly<{ heldDays: number }>,
  { store, nowMs }: LedgerComponents,
): Ledger {
  const records = ledgerRecords(store)
  let tail: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = tail.then(work)
    tail = done.catch(() => undefined)
    return done
  }
  const balance = async (account: AccountName): Promise<bigint> =>
    BigInt((await records.balances.get(account))?.micros ?? '0')

  /** Balances after `postings`, as operations. */
  const balanceOperations = async (postings: readonly Posting[]): Promise<StoreOperation[]> => {
    const sums = new Map<AccountName, bigint>()
    for (const { account, micros } of postings) {
      sums.set(account, (sums.get(account) ?? 0n) + BigInt(micros))
    }
    const operations: StoreOperation[] = []
    for (const [account, sum] of sums) {
      const micros = String((await balance(account)) + sum)
      operations.push(records.balances.putOperation(account, { micros }))
    }
    return operations
  }
  const usageOperations = async (charges: readonly ChargeRecord[]): Promise<StoreOperation[]> => {
    const totals = new Map<string, UsageRecord>()
    for (const charge of charges) {
      const key = usageKey(charge)
      const before = totals.get(key) ?? (await records.usage.get(key)) ?? emptyUsage(charge)
      const seconds = BigInt(before.seconds) + BigInt(charge.toSecond - charge.fromSecond)
      const micros = BigInt(before.micros) + BigInt(charge.micros)
      totals.set(key, { ...before, seconds: String(seconds), micros: String(micros) })
    }
    return [...totals].map(([key, total]) => records.usage.putOperation(key, total))
  }
  const holdOperations = async (charges: readonly ChargeRecord[]): Promise<StoreOperation[]> => {
    // Counted from now, not from the hour: a day that was paid out must never grow again.
    const day = Math.floor(nowMs() / dayMs) + heldDays
    const sums = new Map<string, bigint>()
    for (const { postings } of charges) {
      for (const { account, micros } of postings) {
        const [kind, owner = ''] = splitAccount(account)
        if (kind === 'held') sums.set(owner, (sums.get(owner) ?? 0n) + BigInt(micros))
      }
    }
    const operations: StoreOperation[] = []
    for (const [owner, sum] of sums) {
      const key = holdKey(day, owner)
      const before = BigInt((await records.holds.get(key))?.micros ?? '0')
      operations.push(records.holds.putOperation(key, { micros: String(before + sum) }))
    }
    return operations
  }

  return {
    balance,
    async *balances() {
      for await (const [account, { micros }] of records.balances.entries()) {
        yield [account as AccountName, BigInt(micros)]
      }
    },
    charge: (charges, operations = []) =>
      inTurn(async () => {
        const booked = charges.map(chargeRecord)
        await store.batch([
          ...booked.map((charge) => records.charges.putOperation(chargeKey(charge), charge)),
          ...(await balanceOperations(booked.flatMap(({ postings }) => postings))),
          ...(await usageOperations(booked)),
          ...(await holdOperations(booked)),
          ...operations,
        ])
      }),
    release: () =>
      inTurn(async () => {
        // A day's holds no longer grow once it is over.
        const today = holdKey(Math.floor(nowMs() / dayMs), '')
        let count = 0
        for await (const [key, { micros }] of records.holds.entries({ lt: today })) {
          const owner = key.slice(key.indexOf('/') + 1)
          const postings: Posting[] = [
            { account: `held:${owner}`, micros: `${-BigInt(micros)}` },
            { account: `chef:${owner}`, micros },
          ]
          assertBalanced(postings)
          await store.batch([
            records.releases.putOperation(key, { postings, atMs: nowMs() }),
            ...(await balanceOperations(postings)),
            // With it goes the reason to pay it: a crash before this repeats, one after does not.
            records.holds.deleteOperation(key),
          ])
          count += 1
        }
        return count
      }),
    async usage(organizationId, month) {
      const found: UsageRecord[] = []
      const prefix = month ? `${organizationId}/${month}/` : `${organizationId}/`
      for await (const [, total] of records.usage.entries({ prefix })) found.push(total)
      return found
    },
  }
}

function emptyUsage({ terms, hourMs }: ChargeRecord): UsageRecord {
  const { project, group, groupName, gpuClass } = terms
  const about = { month: monthOf(hourMs), project, group, groupName, seconds: '0', micros: '0' }
  return gpuClass === undefined ? about : { ...about, gpuClass }
}

function chargeRecord(charge: Charge): ChargeRecord {
  const { terms, fromSecond, toSecond } = charge
  assert(toSecond > fromSecond, 'a charge is for a second at least')
  // Differences of sums from the first second on, so that roundings never add up.
  const micros = chargedFor(terms, toSecond) - chargedFor(terms, fromSecond)
  const earned = earnedFor(terms, toSecond) - earnedFor(terms, fromSecond)
  const postings: Posting[] = [
    { account: `organization:${terms.organizationId}`, micros: String(-micros) },
    { account: `held:${terms.owner ?? 'unclaimed'}`, micros: String(earned) },
    { account: 'revenue', micros: String(micros - earned) },
  ]
  assertBalanced(postings)
  return { ...charge, micros: String(micros), postings }
}

function assertBalanced(postings: readonly Posting[]): void {
  const sum = postings.reduce((total, { micros }) => total + BigInt(micros), 0n)
  assert.equal(sum, 0n, 'the postings of a transaction sum to zero')
}

function splitAccount(account: AccountName): readonly string[] {
  const at = account.indexOf(':')
  return at < 0 ? [account] : [account.slice(0, at), account.slice(at + 1)]
}

/** By what is charged, so that the same seconds can never stand there twice. */
function chargeKey({ slot, fence, fromSecond, hourMs, terms }: ChargeRecord): string {
  const second = String(fromSecond).padStart(12, '0')
  const epoch = `${fence.term}.${fence.epoch}`
  return `${terms.organizationId}/${monthOf(hourMs)}/${slot}/${epoch}/${second}`
}

function holdKey(day: number, owner: string): string {
  return `${String(day).padStart(8, '0')}/${owner}`
}
