/** What can be wrong with a head of the audit log. */
import { PotluckError } from '../errors.ts'

/** Signed by the right key, and yet of another network or term than its certificate. */
export class AuditHeadMismatchError extends PotluckError {
  constructor({ network, term }: Readonly<{ network: string; term: number }>) {
    super(
      'AUDIT_HEAD_MISMATCH',
      `the audit head is of network ${network}, term ${term}, which its certificate does not cover; it is ignored`,
      { fields: { network, term } },
    )
  }
}

/** Two heads that cannot both be true; kept, because they prove it. */
export class AuditSplitError extends PotluckError {
  constructor(what: 'split' | 'rollback', heldNumber: number, shownNumber: number) {
    super(
      'AUDIT_SPLIT',
      what === 'split'
        ? `the coordinator showed two different entries ${heldNumber} of its audit log; both heads are kept as proof`
        : `the coordinator's audit log went back from entry ${heldNumber} to ${shownNumber}; both heads are kept as proof`,
      { fields: { what, heldNumber, shownNumber } },
    )
  }
}
