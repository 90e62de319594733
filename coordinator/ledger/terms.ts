/**
 * What an instance costs, frozen into its slot's record when it is placed: a price that changes
 * touches only instances that are placed later, and a restart charges what was promised.
 */
import Type, { type Static } from 'typebox'
import { CountSchema, GroupIdSchema, TextSchema, UuidSchema } from '../../protocol/wire/index.ts'

/** Micro-units an hour: 9 · 10^9, nine thousand units; beyond, a setting is a slip of the finger. */
export const microsPerHourMax = 9_000_000_000

export const BillingTermsSchema = Type.Object({
  organizationId: UuidSchema,
  project: TextSchema(64),
  group: GroupIdSchema,
  groupName: TextSchema(64),
  /** Id of the class that the node's card is of; absent: no GPU. */
  gpuClass: Type.Optional(UuidSchema),
  microsPerHour: CountSchema(microsPerHourMax),
  /** What the chef gets of it. */
  chefPercent: CountSchema(100),
  /** The chef's account; absent: nobody has claimed the node. */
  owner: Type.Optional(TextSchema(128)),
})
export type BillingTerms = Readonly<Static<typeof BillingTermsSchema>>

/** Micro-units for the first `seconds` of an instance. Whole in sum: no split of it adds or loses one. */
export function chargedFor(
  { microsPerHour }: Pick<BillingTerms, 'microsPerHour'>,
  seconds: number,
): bigint {
  return (BigInt(microsPerHour) * BigInt(seconds)) / 3_600n
}

/** What of that the chef earns; the rest is the network's. */
export function earnedFor(terms: BillingTerms, seconds: number): bigint {
  return (chargedFor(terms, seconds) * BigInt(terms.chefPercent)) / 100n
}
