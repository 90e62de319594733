/**
 * What stands before every request: how many are at work, whose key it is, how often it came. Without
 * it one client could take the coordinator away from all others.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Caller, Tenants } from '../tenants/index.ts'
import { OverloadedError, RateLimitedError, UnauthorizedError } from './errors.ts'
import type { ApiSettings } from './settings.ts'

const callers = new WeakMap<FastifyRequest, Caller>()

/** Who sent an authenticated request. */
export function callerOf(request: FastifyRequest): Caller {
  const caller = callers.get(request)
  if (!caller) throw new UnauthorizedError('missing')
  return caller
}

/** Answers 503 above `inflightMax` requests at once. */
export function guardLoad(
  app: FastifyInstance,
  { inflightMax }: Pick<ApiSettings, 'inflightMax'>,
): void {
  let inflight = 0
  app.addHook('onRequest', async (request, reply) => {
    // Busy is not dead: a supervisor that asks must not be told to kill what works.
    if (request.routeOptions.url === '/healthz') return
    if (inflight >= inflightMax) throw new OverloadedError(inflightMax)
    inflight++
    // Also when the client went away.
    reply.raw.once('close', () => {
      inflight--
    })
  })
}

/** Lets in whom `tenants` knows, `ratePerMinute` times a minute; counts wrong keys by address. */
export function guardAccess(
  app: FastifyInstance,
  { ratePerMinute, wrongKeysPerMinute }: Pick<ApiSettings, 'ratePerMinute' | 'wrongKeysPerMinute'>,
  { tenants }: { readonly tenants: Tenants },
): void {
  const byKey = createLimit(app, 'this API key', ratePerMinute, (request) => {
    return callerOf(request).keyId
  })
  const byAddress = createLimit(
    app,
    'wrong API keys from this address',
    wrongKeysPerMinute,
    (request) => request.ip,
  )

  app.addHook('onRequest', async (request) => {
    const key = keyOf(request)
    const caller = key === undefined ? undefined : tenants.authenticate(key)
    if (!caller) {
      await byAddress(request)
      throw new UnauthorizedError(key === undefined ? 'missing' : 'wrong')
    }
    callers.set(request, caller)
    await byKey(request)
  })
}

/** Returns when there is room. @throws {RateLimitedError} */
type Limit = (request: FastifyRequest) => Promise<void>

function createLimit(
  app: FastifyInstance,
  what: string,
  max: number,
  keyGenerator: (request: FastifyRequest) => string,
): Limit {
  if (max === 0) return async () => {}
  const check = app.createRateLimit({ max, timeWindow: 60_000, keyGenerator })
  return async (request) => {
    const limit = await check(request)
    if (limit.isAllowed || !limit.isExceeded) return
    throw new RateLimitedError(what, max, Math.max(1, limit.ttlInSeconds))
  }
}

function keyOf({ headers }: FastifyRequest): string | undefined {
  const own = headers['salad-api-key']
  if (typeof own === 'string' && own !== '') return own
  return /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
}
