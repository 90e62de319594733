/** The ledger: what instances cost, who owes it, and who earns it. */
export { createBilling, type DrawTerms } from './billing.ts'
export { createLedger, type Ledger } from './ledger.ts'
export { hourMs } from './meter.ts'
export { type Accrued, type Metering, openMetering } from './metering.ts'
export {
  createPrices,
  type Prices,
  type PricesSettings,
  priceProblems,
} from './prices.ts'
export { monthOf, type UsageRecord } from './records.ts'
export type { BillingTerms } from './terms.ts'
