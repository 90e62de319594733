/** How the binary says that something went wrong: one clear line, the whole story on request. */
import { CommanderError } from 'commander'
import { ConfigError } from '../../protocol/config/index.ts'
import { errorCode } from '../../protocol/errors.ts'
import { safeText } from '../../protocol/log/index.ts'
import { NoCoordinatorError, RefusedError } from './admin/errors.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'

/** The wrong use of a command that commander cannot see. */
export class UsageError extends Error {}

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  }
  if (error instanceof NoCoordinatorError) return exitCodes.unreachable
  if (error instanceof RefusedError) return error.isUsage ? exitCodes.usage : exitCodes.failure
  const isUsage = error instanceof ConfigError || error instanceof UsageError
  return isUsage ? exitCodes.usage : exitCodes.failure
}

/** The text for stderr; undefined when commander has said it already. */
export function errorText(
  error: unknown,
  { verbose }: { readonly verbose: boolean },
): string | undefined {
  if (error instanceof CommanderError) return undefined
  if (!verbose) return safeText(`potluck: ${shortText(error)}`)
  const lines = [...causes(error)].map((cause, depth) => {
    const text = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
    const code = errorCode(cause)
    return `${depth === 0 ? 'potluck' : '  because'}: ${code ? `[${code}] ` : ''}${text}`
  })
  return safeText(lines.join('\n'))
}

/** A system error's own message is the fact that people need, so the innermost cause comes along. */
function shortText(error: unknown): string {
  const chain = [...causes(error)].map((cause) =>
    cause instanceof Error ? cause.message || cause.name : String(cause),
  )
  const [first = 'unknown error'] = chain
  const last = chain.at(-1) ?? first
  const because = chain.length > 1 && !first.includes(last) ? ` (${last})` : ''
  // Without a code it is a fault of ours, and the stack is what a report needs.
  const hint =
    errorCode(error) || error instanceof UsageError ? '' : '; run it with --verbose for more'
  return `${first}${because}${hint}`
}

function* causes(error: unknown): Generator<unknown> {
  for (let at = error, depth = 0; at !== undefined && depth < 8; depth++) {
    yield at
    at = at instanceof Error ? at.cause : undefined
  }
}
