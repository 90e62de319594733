/** What the ledger keeps. Amounts are decimal text: they may outgrow what a number holds exactly. */
import Type, { type Static } from 'typebox'
import { type Collection, collection, type Store } from '../../protocol/store/index.ts'
import {
  CountSchema,
  EpochSchema,
  GroupIdSchema,
  ListSchema,
  SlotIdSchema,
  TermSchema,
  TextSchema,
  UuidSchema,
} from '../../protocol/wire/index.ts'
import { BillingTermsSchema } from './terms.ts'

/** What an account holds: positive, the network owes it; negative, it owes the network. */
export type AccountName = `organization:${string}` | `chef:${string}` | `held:${string}` | 'revenue'

const MicrosSchema = Type.String({ pattern: '^(0|-?[1-9][0-9]{0,38})$' })

const PostingSchema = Type.Object({
  account: Type.Unsafe<AccountName>(Type.String({ maxLength: 200 })),
  micros: MicrosSchema,
})
export type Posting = Static<typeof PostingSchema>

const FenceSchema = Type.Object({ term: TermSchema, epoch: EpochSchema })

const ChargeSchema = Type.Object({
  slot: SlotIdSchema,
  fence: FenceSchema,
  terms: BillingTermsSchema,
  fromSecond: CountSchema(),
  toSecond: CountSchema(),
  /** Start of the hour in which it ran. */
  hourMs: CountSchema(),
  micros: MicrosSchema,
  postings: ListSchema(PostingSchema, 8),
})
export type ChargeRecord = Readonly<Static<typeof ChargeSchema>>

const UsageSchema = Type.Object({
  /** `YYYY-MM`, UTC. */
  month: Type.String({ pattern: '^[0-9]{4}-[0-9]{2}$' }),
  project: TextSchema(64),
  group: GroupIdSchema,
  groupName: TextSchema(64),
  gpuClass: Type.Optional(UuidSchema),
  seconds: MicrosSchema,
  micros: MicrosSchema,
})
export type UsageRecord = Readonly<Static<typeof UsageSchema>>

const AmountSchema = Type.Object({ micros: MicrosSchema })
const ReleaseSchema = Type.Object({ postings: ListSchema(PostingSchema, 8), atMs: CountSchema() })

export const MeterRecordSchema = Type.Object({
  slot: SlotIdSchema,
  fence: FenceSchema,
  terms: BillingTermsSchema,
  seenMs: CountSchema(),
  runs: Type.Boolean(),
  ranMs: CountSchema(),
  /** Whole seconds that the ledger has. */
  postedSeconds: CountSchema(),
})
export type MeterRecord = Static<typeof MeterRecordSchema>

export type LedgerRecords = Readonly<{
  charges: Collection<ChargeRecord>
  balances: Collection<Static<typeof AmountSchema>>
  usage: Collection<UsageRecord>
  /** By the day after whose end they are paid out, and owner. */
  holds: Collection<Static<typeof AmountSchema>>
  releases: Collection<Static<typeof ReleaseSchema>>
}>

export function ledgerRecords(store: Store): LedgerRecords {
  return {
    charges: collection(store, 'ledger-charges', ChargeSchema),
    balances: collection(store, 'ledger-balances', AmountSchema),
    usage: collection(store, 'ledger-usage', UsageSchema),
    holds: collection(store, 'ledger-holds', AmountSchema),
    releases: collection(store, 'ledger-releases', ReleaseSchema),
  }
}

/** `YYYY-MM`, UTC. */
export function monthOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 7)
}

export function usageKey({ terms, hourMs }: Pick<ChargeRecord, 'terms' | 'hourMs'>): string {
  const { organizationId, group, gpuClass = 'none' } = terms
  return `${organizationId}/${monthOf(hourMs)}/${group}/${gpuClass}`
}
