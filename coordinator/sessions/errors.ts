/** Why the coordinator closes a peer's stream. The code and the sentence go to the peer. */
import { PotluckError } from '../../protocol/errors.ts'

export type SessionRefusal =
  | 'CATCHING_UP'
  | 'COORDINATOR_DEPOSED'
  | 'HELLO_EXPECTED'
  | 'HELLO_TWICE'
  | 'HELLO_LATE'
  | 'HOUSEHOLD_FULL'
  | 'KEYS_NOT_ACCEPTED'
  | 'NOT_IN_ROSTER'
  | 'PEER_BANNED'
  | 'REPLACED'
  | 'SILENT'
  | 'TOO_FAST'
  | 'TOO_SLOW'
  | 'WRONG_ROLE'
  | 'SHUTTING_DOWN'

export class SessionRefusedError extends PotluckError {
  declare readonly code: SessionRefusal

  constructor(refusal: SessionRefusal, message: string) {
    super(refusal, message)
  }
}
