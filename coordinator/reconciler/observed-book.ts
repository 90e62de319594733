/** A slot book that tells what it has made durable: for logs, never for decisions. */
import type { SlotRecord } from '../slots/index.ts'
import type { SlotBook } from './slot-book.ts'

/** `onSlot` is called after each commit, for each record, with the one before. */
export function observedBook(
  book: SlotBook,
  onSlot: (before: SlotRecord | undefined, after: SlotRecord) => void,
): SlotBook {
  return {
    ...book,
    async commit(records) {
      const before = records.map(({ slot }) => book.slots.get(slot))
      await book.commit(records)
      for (const [index, record] of records.entries()) onSlot(before[index], record)
    },
  }
}
