/** What can go wrong with a store: the disk, the data on it, another process. */
import { PotluckError } from '../errors.ts'

/** Another process has the folder open. */
export class StoreLockedError extends PotluckError {
  constructor(path: string, cause: unknown) {
    super(
      'STORE_LOCKED',
      `store ${path}: in use by another process; stop that process, or give this one a data folder of its own`,
      { cause, fields: { path } },
    )
  }
}

/** The folder cannot be opened: permissions, no such parent, a damaged database. */
export class StoreOpenError extends PotluckError {
  constructor(path: string, cause: unknown) {
    super(
      'STORE_OPEN_FAILED',
      `store ${path}: cannot be opened; check that the folder is a store of Potluck and that this user may write to it`,
      { cause, fields: { path } },
    )
  }
}

/** A key or a value that cannot be stored. */
export class StoreValueError extends PotluckError {
  constructor(record: string, problem: string, cause?: unknown) {
    super('STORE_VALUE_INVALID', `store record ${JSON.stringify(record)}: ${problem}`, {
      cause,
      fields: { record },
    })
  }
}

/** What lies on disk under a key is not what its reader can use. */
export class StoreRecordError extends PotluckError {
  constructor(record: string, problem: string, cause?: unknown) {
    super(
      'STORE_RECORD_CORRUPT',
      `store record ${JSON.stringify(record)}: ${problem}; it was damaged, or written by another version: restore a backup or delete the record`,
      { cause, fields: { record } },
    )
  }
}

/** More waits to be written than the store may hold in memory. */
export class StoreBusyError extends PotluckError {
  constructor(queuedBytes: number, queuedBytesMax: number) {
    super(
      'STORE_BUSY',
      `store: ${queuedBytes} bytes wait to be written, at most ${queuedBytesMax} may; the disk is too slow for this load, try again`,
      { fields: { queuedBytes, queuedBytesMax } },
    )
  }
}

/** The disk refused a write. What it holds is unknown until the store is opened again. */
export class StoreFailedError extends PotluckError {
  constructor(cause: unknown) {
    super(
      'STORE_FAILED',
      'store: a write failed and no more are taken; check the disk (space, health), then restart',
      { cause },
    )
  }
}

/** Used after `close`. */
export class StoreClosedError extends PotluckError {
  constructor() {
    super('STORE_CLOSED', 'store: it is closed')
  }
}
