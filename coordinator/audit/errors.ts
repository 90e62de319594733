/** What can go wrong with the audit log. */
import { PotluckError } from '../../protocol/errors.ts'

/** More acts wait for the disk than may. Nothing was done. */
export class AuditBusyError extends PotluckError {
  constructor(waitingMax: number) {
    super(
      'STORE_BUSY',
      `audit log: ${waitingMax} writes wait for the disk, as many as may; nothing was done, try again in a second`,
      { fields: { waitingMax } },
    )
  }
}

/** A file that is no exported audit log, or no longer a whole one. */
export class AuditFileError extends PotluckError {
  constructor(file: string, problem: string, cause?: unknown) {
    super('AUDIT_FILE_INVALID', `${file}: ${problem}`, { cause, fields: { file } })
  }
}
