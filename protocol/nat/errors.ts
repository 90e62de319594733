/** What keeps a home from being reached, in codes that logs, tests and back-offs can tell apart. */
import { PotluckError, type PotluckErrorInit } from '../errors.ts'

export type PunchRefusal =
  /** No peer that both are connected to and that may introduce them. */
  | 'NO_RENDEZVOUS'
  /** The other is not connected to the rendezvous, or no member. */
  | 'NOT_HERE'
  /** The pair is being introduced already. */
  | 'UNDERWAY'
  /** Over a rate, or the back-off after a failure has not passed. */
  | 'TOO_SOON'
  /** Too many at once. */
  | 'BUSY'
  /** The other does not want to, or came too late. */
  | 'UNWILLING'
  /** They have no address family in common, or an address that may not be told. */
  | 'NO_COMMON_FAMILY'
  /** Both were told, and no connection came of it (a symmetric NAT). */
  | 'FAILED'

/** No hole was punched to a peer; `reason` says at which point. */
export class PunchError extends PotluckError {
  readonly reason: PunchRefusal

  constructor(peer: string, reason: PunchRefusal, init: PotluckErrorInit = {}) {
    super('NOT_PUNCHED', `no direct connection to ${peer} by hole punching: ${reason}`, init)
    this.reason = reason
  }
}

/** A peer that was asked to dial back refused, or gave a verdict that cannot be believed. */
export class DialBackError extends PotluckError {
  constructor(peer: string, reason: string, init: PotluckErrorInit = {}) {
    super('NO_DIAL_BACK', `${peer} did not dial back: ${reason}`, init)
  }
}
