/** Tables: records that are few and asked for all the time, whole in memory. */
export { type Change, commit, openTable, type Table, type TableInit } from './table.ts'
