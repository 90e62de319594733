/**
 * The one base class of Potluck's errors: the world's faults, each with a stable code that clients
 * and tests can rely on. Our own bugs are assertions, not these.
 */

/** Plain facts about an error, safe to log and to show; never secrets. */
export type ErrorFields = Readonly<Record<string, string | number | boolean | undefined>>

export type PotluckErrorInit = Readonly<{
  /** What made this happen; printed once, as a chain. */
  cause?: unknown
  fields?: ErrorFields
}>

/**
 * A fault of the world outside (a peer, a file, a registry, a user). `message` names the field, the
 * value, what is valid and what to do; `code` is stable, `UPPER_SNAKE`.
 */
export class PotluckError extends Error {
  readonly code: string
  readonly fields: ErrorFields

  constructor(code: string, message: string, init: PotluckErrorInit = {}) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause })
    this.name = new.target.name
    this.code = code
    this.fields = init.fields ?? {}
  }
}

/** The message and those of its causes, outermost first, joined by ': '. */
export function describeError(error: unknown): string {
  const parts: string[] = []
  for (let at: unknown = error; at !== undefined && parts.length < 8; ) {
    parts.push(at instanceof Error ? at.message : textOf(at))
    at = at instanceof Error ? at.cause : undefined
  }
  return parts.join(': ')
}

function textOf(thrown: unknown): string {
  return typeof thrown === 'string' ? thrown : (JSON.stringify(thrown) ?? typeof thrown)
}

/** The code of a {@link PotluckError} or of a system error (`ENOENT`), else undefined. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
