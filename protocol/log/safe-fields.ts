/**
 * Makes fields fit to be written down: secrets out, errors in, sizes bounded. A path list as pino
 * takes it reaches a fixed depth only, so one nested request body would print a tenant's env; this
 * walks every level instead. It is the last net: callers still must not log secrets.
 */
import { describeError, errorCode, PotluckError } from '../errors.ts'

export const redacted = '[redacted]'

/** Compared without case, `-` and `_`, so that `X-Api-Key` and `api_key` are one name. */
const secretNames = new Set([
  ...['accesskey', 'auth', 'authconfig', 'authorization', 'blobkey', 'blobkeys', 'cookie'],
  ...['credential', 'credentials', 'env', 'environment', 'environmentvariables', 'identity'],
  ...['key', 'keys', 'passphrase', 'passwd', 'password', 'pin', 'plaintext', 'privatekey'],
  ...['registryauthentication', 'seed', 'secret', 'secrets', 'setcookie', 'token', 'tokens'],
])
/** Ends of names such as `registryPassword`, `clientSecret`, `ticketToken`, `rootPrivateKey`. */
const secretEnding =
  /(?:passphrase|password|secret|secrets|token|tokens|apikey|apikeys|privatekey|secretkey|credentials)$/

/** Beyond these a line is a dump, not a log line. */
const depthMax = 8
const itemsMax = 64
const charactersMax = 4096

/** Whether a field of this name is never to be printed. */
export function isSecretName(name: string): boolean {
  const plain = name.toLowerCase().replace(/[-_]/g, '')
  return secretNames.has(plain) || secretEnding.test(plain)
}

/** Text without what URLs and authorization headers carry: user info, Basic and Bearer tokens. */
export function safeText(text: string): string {
  const scrubbed = text
    .replace(/(\/\/)[^\s/@]{1,512}@/g, `$1${redacted}@`)
    .replace(/\b(basic|bearer)\s+[\w.~+/=-]{6,}/gi, `$1 ${redacted}`)
  const rest = scrubbed.length - charactersMax
  return rest > 0 ? `${scrubbed.slice(0, charactersMax)}… (${rest} more)` : scrubbed
}

/** The fields as JSON can hold them. Never throws: a getter that does becomes its message. */
export function safeFields(fields: object): Record<string, unknown> {
  return safeEntries(Object.entries(fields), 0, [fields])
}

function safeEntries(
  entries: Iterable<readonly [string, unknown]>,
  depth: number,
  parents: readonly object[],
): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  let count = 0
  for (const [name, value] of entries) {
    if (++count > itemsMax) {
      out['…'] = 'more fields left out'
      break
    }
    // Below, pino calls `hasOwnProperty` on what it is given; `__proto__` would change the object.
    const shown = name in Object.prototype ? `_${name}` : name
    out[shown] = isSecretName(name) && value !== undefined ? redacted : safe(value, depth, parents)
  }
  return out
}

function safe(value: unknown, depth: number, parents: readonly object[]): unknown {
  if (typeof value === 'string') return safeText(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'function' || typeof value === 'symbol') return `[${typeof value}]`
  if (typeof value !== 'object' || value === null) return value
  if (parents.includes(value)) return '[circular]'
  if (depth >= depthMax) return '[too deep]'
  try {
    return safeObject(value, depth + 1, [...parents, value])
  } catch (error) {
    return `[unreadable: ${safeText(describeError(error))}]`
  }
}

function safeObject(value: object, depth: number, parents: readonly object[]): unknown {
  if (value instanceof Error) return safeError(value, depth, parents)
  // Bytes are keys, ciphertext or layers; none of them belongs in a log.
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (value instanceof Map) {
    const entries = [...value].map(([name, item]) => [String(name), item] as const)
    return safeEntries(entries, depth, parents)
  }
  if (value instanceof Set) return safe([...value], depth, parents)
  if (Array.isArray(value)) {
    const items = value.slice(0, itemsMax).map((item) => safe(item, depth, parents))
    return value.length > itemsMax ? [...items, `… (${value.length - itemsMax} more)`] : items
  }
  // Peer ids, multiaddrs and URLs say best themselves what they are.
  if (value.toString !== Object.prototype.toString && typeof value.toString === 'function') {
    const speaking: { toString(): string } = value
    return safeText(speaking.toString())
  }
  return safeEntries(Object.entries(value), depth, parents)
}

function safeError(error: Error, depth: number, parents: readonly object[]): unknown {
  return {
    type: error.name,
    code: errorCode(error),
    message: safeText(describeError(error)),
    ...(error instanceof PotluckError && Object.keys(error.fields).length > 0
      ? { fields: safeEntries(Object.entries(error.fields), depth, parents) }
      : {}),
    // Where it came from matters for our own bugs only; the world's faults have a code.
    ...(errorCode(error) === undefined ? { stack: safeText(error.stack ?? '') } : {}),
  }
}
