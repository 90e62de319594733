/** Why an order is not obeyed. The code goes back to who sent it, and into the node's log. */
import { PotluckError } from '../errors.ts'

export type OrderRefusal =
  | 'WRONG_NETWORK'
  | 'STALE_TERM'
  | 'UNKNOWN_TERM'
  | 'WRONG_AUDIENCE'
  | 'NOT_YET_VALID'
  | 'EXPIRED'
  | 'STALE_EPOCH'
  | 'CONFLICTING_ORDER'
  | 'WRONG_BUNDLE'
  | 'STALE_LIST'
  | 'BROKEN_CHAIN'

/** A genuine signature over something that does not apply here and now. */
export class OrderRefusedError extends PotluckError {
  declare readonly code: OrderRefusal

  constructor(refusal: OrderRefusal, message: string) {
    super(refusal, message)
  }
}
