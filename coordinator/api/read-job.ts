/** What a client says of a job, as the queues take it. Pure, but for the operator's address policy. */
import { type AddressPolicy, checkTenantUrl } from '../../protocol/address/index.ts'
import { PotluckError } from '../../protocol/errors.ts'
import type { JobInput } from '../queues/index.ts'
import { ProblemList } from './validation.ts'

/** Deeper JSON ends parsers by recursion: ours when it is shown, and a container's own. */
const depthMax = 500

/**
 * `field` names where the webhook stood.
 * @throws {RequestInvalidError}
 */
export function readJob(
  {
    input,
    metadata,
    webhook,
    field,
  }: Readonly<{
    input: unknown
    metadata?: unknown
    webhook?: string | undefined
    field: string
  }>,
  addresses: AddressPolicy,
): JobInput {
  const problems = new ProblemList()
  for (const [name, value] of Object.entries({ input, metadata })) {
    if (isDeeper(value, depthMax)) problems.add(name, `must be nested at most ${depthMax} levels`)
  }
  if (webhook !== undefined) {
    try {
      checkTenantUrl(webhook, addresses)
    } catch (error) {
      if (!(error instanceof PotluckError)) throw error
      problems.add(field, error.message)
    }
  }
  problems.throwIfAny()
  return {
    input,
    ...(metadata === undefined ? {} : { metadata }),
    ...(webhook === undefined ? {} : { webhook }),
  }
}

/** Level by level, without recursion. */
function isDeeper(value: unknown, levels: number): boolean {
  let here: unknown[] = [value]
  for (let level = 0; here.length > 0; level++) {
    if (level > levels) return true
    here = here.flatMap((item) =>
      typeof item === 'object' && item !== null ? Object.values(item) : [],
    )
  }
  return false
}
