/**
 * What a peer remembers of its network, each as it was signed. Kept because a peer that forgets the
 * highest term, roster or ban list it has seen can be led back to an older one.
 */
import { type Collection, collection, type Store } from '../store/index.ts'
import { type Signed, SignedSchema } from '../wire/index.ts'

export const recordNames = ['certificate', 'roster', 'bans'] as const
export type RecordName = (typeof recordNames)[number]

/** The peer's part of its store. */
export function peerRecords(store: Store): Collection<Signed> {
  return collection(store, 'peer', SignedSchema)
}
