/** Errors that only the API makes; those of the parts below it keep their own classes. */
import { PotluckError } from '../../protocol/errors.ts'

/** What is wrong with a request, by field (`container.resources.cpu`). */
export type FieldProblems = Readonly<Record<string, readonly string[]>>

/** A body or a parameter that is not valid. */
export class RequestInvalidError extends PotluckError {
  readonly problems: FieldProblems

  constructor(problems: FieldProblems) {
    const all = Object.entries(problems).flatMap(([field, texts]) =>
      texts.map((text) => `${field}: ${text}`),
    )
    const shown = all.slice(0, 5).join('; ')
    super('REQUEST_INVALID', all.length > 5 ? `${shown}; and ${all.length - 5} more` : shown)
    this.problems = problems
  }
}

export class UnauthorizedError extends PotluckError {
  constructor(problem: 'missing' | 'wrong') {
    super(
      'UNAUTHORIZED',
      problem === 'missing'
        ? 'no API key: send it in the header Salad-Api-Key, or as Authorization: Bearer'
        : 'the API key is not valid: check that it is whole and has not been revoked',
    )
  }
}

/** Too many requests; `retryAfterS` seconds later there is room again. */
export class RateLimitedError extends PotluckError {
  constructor(what: string, max: number, retryAfterS: number) {
    super(
      'RATE_LIMITED',
      `${what}: more than ${max} requests in a minute; try again in ${retryAfterS} s`,
      { fields: { max, retryAfterS } },
    )
  }
}

export class OverloadedError extends PotluckError {
  constructor(inflightMax: number) {
    super(
      'OVERLOADED',
      `the coordinator is at work on ${inflightMax} requests, as many as it takes at once; try again in a second`,
      { fields: { inflightMax } },
    )
  }
}

export class InstanceNotFoundError extends PotluckError {
  constructor(id: string, group: string) {
    super(
      'INSTANCE_NOT_FOUND',
      `instance ${JSON.stringify(id.slice(0, 64))}: container group ${JSON.stringify(group)} has none of this id`,
    )
  }
}

/** No such path, or not with this method. */
export class PathNotFoundError extends PotluckError {
  constructor(method: string, path: string) {
    super('PATH_NOT_FOUND', `${method} ${path.slice(0, 500)}: the API has no such path; see /docs`)
  }
}
