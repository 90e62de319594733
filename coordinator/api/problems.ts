/**
 * The one place where an error becomes an HTTP answer: problem+json (RFC 9457) with all five
 * members always there, because SaladCloud's SDK types an error only then. What is not listed here
 * is a fault of ours: the client learns an id, the log learns the rest.
 */
import Type from 'typebox'
import { errorCode, PotluckError } from '../../protocol/errors.ts'
import { type FieldProblems, RequestInvalidError } from './errors.ts'

export const ProblemSchema = Type.Object(
  {
    detail: Type.String({ minLength: 1, maxLength: 2_000 }),
    instance: Type.String({ minLength: 1, maxLength: 2_048 }),
    status: Type.Integer({ minimum: 100, maximum: 599 }),
    title: Type.String({ minLength: 1 }),
    type: Type.String({ minLength: 1 }),
    code: Type.String({ description: 'Stable, for programs.' }),
    errors: Type.Optional(
      Type.Record(Type.String(), Type.Array(Type.String()), {
        description: 'What is wrong, by field.',
      }),
    ),
  },
  { title: 'ProblemDetails' },
)

export type Problem = Readonly<{
  detail: string
  instance: string
  status: number
  title: string
  type: string
  code: string
  errors?: FieldProblems
}>

export const problemMediaType = 'application/problem+json'

const statuses: Readonly<Record<string, number>> = {
  REQUEST_INVALID: 400,
  TENANT_NAME_INVALID: 400,
  UNAUTHORIZED: 401,
  PAGE_TOO_LARGE: 400,
  QUOTA_EXCEEDED: 403,
  SCOPE_MISSING: 403,
  QUEUE_QUOTA_EXCEEDED: 403,
  PATH_NOT_FOUND: 404,
  ORGANIZATION_NOT_FOUND: 404,
  PROJECT_NOT_FOUND: 404,
  GROUP_NOT_FOUND: 404,
  INSTANCE_NOT_FOUND: 404,
  BAN_NOT_FOUND: 404,
  HOLD_NOT_FOUND: 404,
  GROUP_NAME_TAKEN: 409,
  BAN_REFUSED: 409,
  USER_NOT_FOUND: 404,
  MEMBER_NOT_FOUND: 404,
  KEY_NOT_FOUND: 404,
  CHEF_NOT_FOUND: 404,
  CLAIM_NOT_FOUND: 404,
  NODE_NOT_CLAIMED: 404,
  NAME_TAKEN: 409,
  NOT_EMPTY: 409,
  CHEF_NAME_TAKEN: 409,
  CHEF_HAS_NODES: 409,
  CLAIMS_TOO_MANY: 409,
  RATE_LIMITED: 429,
  NOT_OFFERED: 501,
  COORDINATOR_NOT_IN_FORCE: 503,
  QUEUE_NOT_FOUND: 404,
  JOB_NOT_FOUND: 404,
  ENDPOINT_NOT_FOUND: 404,
  QUEUE_NAME_TAKEN: 409,
  QUEUE_IN_USE: 409,
  JOB_FINISHED: 409,
  INSTANCE_GONE: 409,
  INSTANCE_UNREACHABLE: 409,
  QUEUE_FULL: 429,
  OVERLOADED: 503,
  STOPPING: 503,
  ENDPOINT_UNAVAILABLE: 503,
  STORE_BUSY: 503,
  STORE_CLOSED: 503,
  STORE_FAILED: 503,
}

/** Fastify's own errors: their texts may quote the request, so these stand instead. */
const fastifyProblems: Readonly<
  Record<string, readonly [status: number, code: string, detail: string]>
> = {
  FST_ERR_CTP_BODY_TOO_LARGE: [413, 'BODY_TOO_LARGE', 'the body is larger than this API takes'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    415,
    'MEDIA_TYPE_UNSUPPORTED',
    'the body must be JSON: Content-Type application/json, for PATCH application/merge-patch+json',
  ],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [
    400,
    'BODY_TRUNCATED',
    'the body is not as long as Content-Length says',
  ],
  FST_ERR_BAD_URL: [400, 'URL_INVALID', 'the path is not a valid URL path'],
  FST_ERR_HANDLER_TIMEOUT: [
    503,
    'TIMED_OUT',
    'the request took too long, and may have been carried out: look before you repeat it',
  ],
}

const titles: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Payload Too Large',
  415: 'Unsupported Media Type',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

/** A status in words. */
export function titleOf(status: number): string {
  return titles[status] ?? 'Error'
}

/** Seconds after which a 503 is worth another try. */
const retryOverloadS = 1

/** The answer to a failed request. `isOurs`: a fault of the coordinator, to be logged as such. */
export type ProblemAnswer = Readonly<{
  problem: Problem
  headers: Readonly<Record<string, string>>
  isOurs: boolean
}>

export function answerFor(error: unknown, requestId: string): ProblemAnswer {
  const [status, code, detail] = explain(error, requestId)
  return {
    problem: {
      ...problemOf(status, code, detail, requestId),
      ...(error instanceof RequestInvalidError ? { errors: error.problems } : {}),
    },
    headers: headersFor(error, status),
    isOurs: status === 500 || code === 'STORE_FAILED',
  }
}

function explain(error: unknown, requestId: string): readonly [number, string, string] {
  const code = errorCode(error) ?? ''
  const known = error instanceof PotluckError ? statuses[code] : undefined
  if (known !== undefined) return [known, code, (error as PotluckError).message]
  const unknown = `the coordinator failed to answer; its log tells why under ${requestId}`
  return fastifyProblems[code] ?? [500, 'INTERNAL', unknown]
}

/** @param code stable, `UPPER_SNAKE`; becomes the problem's type too. */
export function problemOf(
  status: number,
  code: string,
  detail: string,
  requestId: string,
): Problem {
  return {
    type: `urn:potluck:problem:${code.toLowerCase().replaceAll('_', '-')}`,
    title: titleOf(status),
    status,
    detail: detail.slice(0, 2_000) || code,
    instance: `urn:uuid:${requestId}`,
    code,
  }
}

function headersFor(error: unknown, status: number): Readonly<Record<string, string>> {
  if (status === 429 && error instanceof PotluckError) {
    return { 'retry-after': String(error.fields.retryAfterS ?? retryOverloadS) }
  }
  if (status === 503) return { 'retry-after': String(retryOverloadS) }
  if (status === 401) return { 'www-authenticate': 'Bearer realm="potluck"' }
  return {}
}
