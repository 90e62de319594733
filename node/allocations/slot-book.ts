/**
 * What a node must never forget of a slot: the highest (term, epoch) it was ever shown, and the
 * order that it runs. Persisted before anything is done about it, so that neither a replayed order
 * nor a crash brings an old epoch back.
 */
import { createHash } from 'node:crypto'
import Type, { type Static } from 'typebox'
import { compareFence, type SlotId } from '../../protocol/ids.ts'
import type { SlotMemory } from '../../protocol/orders/index.ts'
import { collection, type Store } from '../../protocol/store/index.ts'
import {
  EpochSchema,
  type Signed,
  SignedSchema,
  SlotIdSchema,
  TermSchema,
} from '../../protocol/wire/index.ts'

const SlotEntrySchema = Type.Object({
  slot: SlotIdSchema,
  fence: Type.Object({ term: TermSchema, epoch: EpochSchema }),
  orderHash: Type.Optional(Type.String()),
  /** The order as signed; gone once its instance has ended. */
  order: Type.Optional(SignedSchema),
})
export type SlotEntry = Static<typeof SlotEntrySchema>

export interface SlotBook {
  memory(slot: SlotId): SlotMemory | undefined
  /** Slots with an order that has not ended. */
  live(): readonly (SlotEntry & { readonly order: Signed })[]
  /** Durable when it resolves. */
  take(slot: SlotId, fence: SlotEntry['fence'], order: Signed): Promise<void>
  /** The order of this fence has ended; the fence stays for good. A newer one is left alone. */
  end(slot: SlotId, fence: SlotEntry['fence']): Promise<void>
}

/** Hex SHA-256 of an order's payload: what tells a redelivery from another order. */
export function orderHashOf(order: Signed): string {
  return createHash('sha256').update(order.payload).digest('hex')
}

/** Reads all entries of `store`. @throws {StoreRecordError} */
export async function openSlotBook({ store }: { readonly store: Store }): Promise<SlotBook> {
  const entries = collection(store, 'slot', SlotEntrySchema)
  const known = new Map<SlotId, SlotEntry>()
  for await (const [, entry] of entries.entries()) known.set(entry.slot, entry)
  const keep = async (entry: SlotEntry): Promise<void> => {
    await entries.put(entry.slot, entry)
    known.set(entry.slot, entry)
  }
  return {
    memory(slot) {
      const entry = known.get(slot)
      if (!entry) return undefined
      const { fence, orderHash } = entry
      return orderHash === undefined ? { fence } : { fence, orderHash }
    },
    live: () =>
      [...known.values()].flatMap((entry) =>
        entry.order === undefined ? [] : [{ ...entry, order: entry.order }],
      ),
    take: (slot, fence, order) => keep({ slot, fence, orderHash: orderHashOf(order), order }),
    async end(slot, fence) {
      const entry = known.get(slot)
      if (entry && compareFence(entry.fence, fence) > 0) return
      await keep({ slot, fence })
    },
  }
}
