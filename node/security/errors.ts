/** Why a report is none. */
import { PotluckError } from '../../protocol/errors.ts'

export class ReportInvalidError extends PotluckError {
  constructor(why: string) {
    super('REPORT_INVALID', why)
  }
}
