/**
 * The end of an instance, put on record: its order is over, its key forgotten, its last report kept,
 * the guard told. It is tried until it is done: a full disk must not end what else runs here.
 */
import type { Clock } from '../../protocol/clock.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { KeyRing } from '../../protocol/sealing/index.ts'
import type { Docket, DocketEntry } from './docket.ts'
import { isFinal } from './instance-state.ts'
import type { SlotBook } from './slot-book.ts'

const retryMs = 2_000

export type RecordEndComponents = Readonly<{
  docket: Docket
  book: SlotBook
  keys: KeyRing
  /** Keys that orders on record are sealed to. */
  keysInUse: () => readonly Uint8Array[]
  tellGuard: () => Promise<void>
  clock: Clock
  logger: Logger
}>

/** Resolves when all of it is durable; at once for an instance that was handed over. */
export async function recordEnd(entry: DocketEntry, parts: RecordEndComponents): Promise<void> {
  const { docket, book, keys, keysInUse, tellGuard, clock, logger } = parts
  const { slot, term, epoch, sealed } = entry.order
  if (!isFinal(entry.instance.report().state)) return // handed over
  const isNewest = docket.finish(entry)
  for (;;) {
    try {
      if (isNewest) await book.end(slot, { term, epoch })
      // A readopted order is sealed to the same key as the one before it.
      const isShared = keysInUse().some((key) => Buffer.compare(key, sealed.recipientKey) === 0)
      if (!isShared) await keys.forget(sealed.recipientKey)
      if (isNewest) await tellGuard()
      return
    } catch (error) {
      logger.error({ slot, error }, 'an end could not be put on record; trying again')
      await clock.sleep(retryMs)
    }
  }
}
