/** What can be wrong with inference endpoints: the operator's file, or a tenant's request. */
import { PotluckError } from '../../protocol/errors.ts'

export class CatalogueError extends PotluckError {
  constructor(file: string, problem: string, cause?: unknown) {
    super('CATALOGUE_INVALID', `inference endpoints of ${file}: ${problem}`, {
      cause,
      fields: { file },
    })
  }
}

export class EndpointNotFoundError extends PotluckError {
  constructor(name: string) {
    super(
      'ENDPOINT_NOT_FOUND',
      `inference endpoint ${JSON.stringify(name.slice(0, 64))}: this network has none of this name`,
    )
  }
}

/** Its publisher's queue does not exist now. */
export class EndpointUnavailableError extends PotluckError {
  constructor(name: string) {
    super(
      'ENDPOINT_UNAVAILABLE',
      `inference endpoint ${JSON.stringify(name)} is not served now; try again later`,
      { fields: { name } },
    )
  }
}
