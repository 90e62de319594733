/** Where the audit log lies in the coordinator's store. */
import { type Collection, collection, type Store } from '../../protocol/store/index.ts'
import { BytesSchema, type Signed, SignedSchema } from '../../protocol/wire/index.ts'
import { entryBytesMax } from './entry.ts'

export type AuditRecords = Readonly<{
  /** By {@link entryKey}: the entry's bytes. */
  entries: Collection<Uint8Array>
  /** The newest signed head, under {@link headKey}. */
  heads: Collection<Signed>
  /** Term certificates that heads were signed under, by term. */
  certificates: Collection<Signed>
}>

export const headKey = 'newest'

/** Numbers sort as text when all are as long as the largest safe integer. */
export function entryKey(number: number): string {
  return String(number).padStart(16, '0')
}

export function auditRecords(store: Store): AuditRecords {
  return {
    entries: collection(store, 'audit', BytesSchema(1, entryBytesMax)),
    heads: collection(store, 'audit-head', SignedSchema),
    certificates: collection(store, 'audit-certificates', SignedSchema),
  }
}
