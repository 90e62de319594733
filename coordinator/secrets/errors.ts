/** What can go wrong with sealed values and the key that opens them. None names a secret. */
import { PotluckError } from '../../protocol/errors.ts'

/** The key file is unreadable, malformed, or does not belong to this database. */
export class SecretKeyError extends PotluckError {
  constructor(file: string, problem: string, cause?: unknown) {
    super('SECRET_KEY_INVALID', `secrets key file ${file}: ${problem}`, { cause, fields: { file } })
  }
}

/** A sealed value that no key opens: damaged, moved between records, or of a lost key. */
export class SecretUnreadableError extends PotluckError {
  constructor(record: string, field: string, problem: string) {
    super(
      'SECRET_UNREADABLE',
      `${field} of ${record} cannot be opened: ${problem}; set it again, or restore the key file that sealed it`,
      { fields: { record, field } },
    )
  }
}
