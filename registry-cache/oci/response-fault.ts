/** From a registry's refusal to the error a tenant can act on. */
import { ImageSourceError } from './errors.ts'
import type { Answer } from './transport.ts'

export type Asked = Readonly<{
  /** The host that was asked, as in the reference. */
  registry: string
  /** `manifest of docker.io/library/ubuntu:latest`, `blob sha256:… of …`. */
  what: string
  /** Whether credentials were given. */
  authenticated: boolean
}>

/** The error for an answer that is not what was asked for. Reads headers and status only. */
export function responseFault(answer: Answer, asked: Asked): ImageSourceError {
  const { registry, what } = asked
  const { status } = answer
  const fields = { registry, status, authenticated: asked.authenticated }
  if (status === 429) return rateLimited(answer, asked)
  if (answer.redirectedTo !== undefined) {
    return new ImageSourceError(
      'REGISTRY_ERROR',
      `registry ${registry} redirects for the ${what} to ${answer.redirectedTo}, which answers ${status}`,
      { fields: { ...fields, redirectedTo: answer.redirectedTo }, transient: status !== 404 },
    )
  }
  if (status === 401 || status === 403) return unauthorized(status, asked)
  if (status === 404) {
    return new ImageSourceError(
      'IMAGE_NOT_FOUND',
      `registry ${registry} has no ${what}. Check name and tag, and that it was pushed`,
      { fields },
    )
  }
  return new ImageSourceError(
    'REGISTRY_ERROR',
    `registry ${registry} answers ${status} for the ${what}`,
    {
      fields,
      transient: status >= 500,
    },
  )
}

export function unauthorized(status: number, asked: Asked): ImageSourceError {
  const { registry, what, authenticated } = asked
  const remedy = authenticated
    ? 'with the credentials that were given. Check them, and that they may pull it'
    : 'without credentials. If it is private, give registry credentials; if it is public, check its name'
  return new ImageSourceError(
    'UNAUTHORIZED',
    `registry ${registry} refuses (${status}) the ${what} ${remedy}`,
    { fields: { registry, status, authenticated } },
  )
}

function rateLimited(answer: Answer, { registry, what, authenticated }: Asked): ImageSourceError {
  const retryAfterMs = readRetryAfterMs(answer.headers)
  const wait = retryAfterMs === undefined ? 'later' : `in ${Math.ceil(retryAfterMs / 1000)} s`
  const hint = authenticated ? '' : '; with registry credentials the limit may be higher'
  return new ImageSourceError(
    'RATE_LIMITED',
    `registry ${registry} limits how often it is asked (429) and refuses the ${what}: try ${wait}${hint}`,
    {
      fields: { registry, authenticated, retryAfterMs },
      transient: true,
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    },
  )
}

/** Seconds, or a date, which is measured against the response's own `Date`, not against our clock. */
function readRetryAfterMs(headers: Answer['headers']): number | undefined {
  const { 'retry-after': after, date } = headers
  if (typeof after !== 'string') return undefined
  if (/^\d{1,9}$/.test(after)) return Number(after) * 1000
  const ms = Date.parse(after) - Date.parse(typeof date === 'string' ? date : '')
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}
