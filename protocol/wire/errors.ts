/** What can be wrong with bytes that came over a wire, a file or a record. */
import { PotluckError, type PotluckErrorInit } from '../errors.ts'

/** Bytes that are not a message of the expected kind: truncated, random, or out of bounds. */
export class MalformedMessageError extends PotluckError {
  constructor(kind: string, reason: string, init: PotluckErrorInit = {}) {
    super('MALFORMED_MESSAGE', `not a valid ${kind}: ${reason}`, init)
  }
}

/** A frame longer than its protocol allows. */
export class MessageTooLargeError extends PotluckError {
  constructor(kind: string, sizeBytes: number, maxBytes: number) {
    super(
      'MESSAGE_TOO_LARGE',
      `a ${kind} of ${sizeBytes} bytes or more; at most ${maxBytes} are allowed`,
    )
  }
}

/** More lies unread than a peer may have under way: it ignores what it was allowed. */
export class UnreadOverflowError extends PotluckError {
  constructor(kind: string, init: PotluckErrorInit = {}) {
    super('UNREAD_OVERFLOW', `more of the ${kind} stream came than may lie unread`, init)
  }
}

/** The stream ended, was reset, or its deadline passed, before the message was whole. */
export class ChannelClosedError extends PotluckError {
  constructor(kind: string, init: PotluckErrorInit = {}) {
    super('CHANNEL_CLOSED', `the ${kind} stream ended`, init)
  }
}
