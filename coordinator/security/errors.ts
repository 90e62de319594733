/** Why a hold was not lifted. */
import { PotluckError } from '../../protocol/errors.ts'

export class HoldNotFoundError extends PotluckError {
  constructor(group: string) {
    super('HOLD_NOT_FOUND', `group ${group} is not held; look at the list of held groups`, {
      fields: { group },
    })
  }
}
