/**
 * What a registry, or an image in it, can do wrong. Messages go to tenants: they name registry and
 * repository, never credentials, tokens, signed URLs or the text of a response (a registry could
 * echo the password that it was sent).
 */
import { type ErrorFields, PotluckError } from '../../protocol/errors.ts'

export type ImageSourceErrorCode =
  | 'REFERENCE_INVALID'
  | 'UNAUTHORIZED'
  | 'IMAGE_NOT_FOUND'
  | 'PLATFORM_NOT_FOUND'
  | 'MANIFEST_UNSUPPORTED'
  | 'DIGEST_MISMATCH'
  | 'REGISTRY_UNREACHABLE'
  | 'REGISTRY_ERROR'
  /** It leads on to an address without TLS: credentials or bytes would travel in the open. */
  | 'REGISTRY_INSECURE'
  | 'RATE_LIMITED'

export type ImageSourceErrorInit = Readonly<{
  cause?: unknown
  fields?: ErrorFields
  /** Whether the same request may succeed a little later. */
  transient?: boolean
  /** How long the registry asked us to wait. */
  retryAfterMs?: number
}>

export class ImageSourceError extends PotluckError {
  declare readonly code: ImageSourceErrorCode
  readonly transient: boolean
  readonly retryAfterMs: number | undefined

  constructor(code: ImageSourceErrorCode, message: string, init: ImageSourceErrorInit = {}) {
    super(code, message, { cause: init.cause, fields: { ...init.fields } })
    this.transient = init.transient ?? false
    this.retryAfterMs = init.retryAfterMs
  }
}
