/** The ledger: what instances cost, who owes it, and who earns it. */
export { createLedger, type Ledger } from './ledger.ts'
export { type Metering, openMetering } from './metering.ts'
export { createPrices, type Prices, type PricesSettings, pricesSettings } from './prices.ts'
export { type BillingTerms, BillingTermsSchema } from './terms.ts'
