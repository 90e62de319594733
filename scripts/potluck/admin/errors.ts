/** Why a command of operators fails, by what its exit code says. */
import { PotluckError } from '../../../protocol/errors.ts'

/** Nothing that is a coordinator answers there. */
export class NoCoordinatorError extends PotluckError {
  constructor(api: string, problem: string, cause?: unknown) {
    super(
      'NO_COORDINATOR',
      `no coordinator at ${api}: ${problem}; start it, or name another with --api or POTLUCK_API`,
      { cause, fields: { api } },
    )
  }
}

/** The coordinator answered that it does not do it. `isUsage`: it never will, as it was asked. */
export class RefusedError extends PotluckError {
  readonly isUsage: boolean

  constructor(detail: string, isUsage: boolean) {
    super('REFUSED', detail)
    this.isUsage = isUsage
  }
}
