/** A development network: real processes on one machine, and nothing left of them afterwards. */
export { type DevOptions, runDev } from './run-dev.ts'
