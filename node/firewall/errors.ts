/** What the firewall may fail with. Each means that no container may start. */
import { PotluckError, type PotluckErrorInit } from '../../protocol/errors.ts'

export type FirewallErrorCode =
  /** No iptables, no right to use it, or the kernel lacks a match. */
  | 'FIREWALL_UNAVAILABLE'
  /** Something answered a container that must not. */
  | 'ISOLATION_BROKEN'
  /** The check itself could not be carried out, so nothing is proved. */
  | 'ISOLATION_UNPROVED'

export class FirewallError extends PotluckError {
  declare readonly code: FirewallErrorCode

  // The narrower type of `code` is this constructor's whole purpose.
  constructor(code: FirewallErrorCode, message: string, init: PotluckErrorInit = {}) {
    super(code, message, init)
  }
}
