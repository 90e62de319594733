/**
 * What stands before every request: how many are at work, whose key it is, how often it came. Without
 * it one client could take the coordinator away from all others.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Access, Caller, Tenants } from '../tenants/index.ts'
import {
  OverloadedError,
  PathNotFoundError,
  RateLimitedError,
  UnauthorizedError,
} from './errors.ts'
import type { ApiSettings } from './settings.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a request of this route wants to do; by default GET and HEAD read, all else writes. */
    access?: Access
  }
}

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

const readingMethods = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Refuses what would change something while nothing would come of it. @param check throws then */
export function guardWrites(app: FastifyInstance, check: () => void): void {
  app.addHook('onRequest', async ({ method }) => {
    if (!readingMethods.has(method)) check()
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
    const caller = key === undefined ? undefined : tenants.authenticate(key, accessOf(request))
    if (!caller) {
      await byAddress(request)
      throw new UnauthorizedError(key === undefined ? 'missing' : 'wrong')
    }
    callers.set(request, caller)
    await byKey(request)
    checkPlace(request, caller, tenants)
  })
}

/**
 * Before a body is read: who may not know of a place learns nothing of what is valid there, and no
 * route can forget to ask.
 */
function checkPlace({ params }: FastifyRequest, caller: Caller, tenants: Tenants): void {
  const { organization_name: organization, project_name: project } = params as Readonly<
    Record<string, string | undefined>
  >
  if (organization === undefined) return
  if (project === undefined) tenants.organization(caller, organization)
  else tenants.scope(caller, organization, project)
}

function accessOf({ method, routeOptions }: FastifyRequest): Access {
  return routeOptions.config.access ?? (method === 'GET' || method === 'HEAD' ? 'read' : 'write')
}

const adminKeys = new WeakMap<FastifyRequest, string>()

/**
 * Lets in admin keys alone. To all others the admin API is a path that does not exist: the very
 * answer of the router. Wrong keys are not counted, because a 429 would be an answer of another kind;
 * with 256 random bits there is nothing to guess, and a look-up costs what the 404 does.
 */
export function guardAdmin(
  app: FastifyInstance,
  { ratePerMinute }: Pick<ApiSettings, 'ratePerMinute'>,
  { tenants }: { readonly tenants: Pick<Tenants, 'authenticateAdmin'> },
): void {
  const byKey = createLimit(app, 'this admin key', ratePerMinute, (request) => {
    return adminKeys.get(request) ?? ''
  })
  app.addHook('onRequest', async (request) => {
    const key = keyOf(request)
    const found = key === undefined ? undefined : tenants.authenticateAdmin(key)
    if (!found) throw pathNotFound(request)
    adminKeys.set(request, found.keyId)
    await byKey(request)
  })
}

/** Whose admin key let this request in. */
export function adminKeyOf(request: FastifyRequest): string | undefined {
  return adminKeys.get(request)
}

/** What every path gets that is none. */
export function pathNotFound({ method, url }: FastifyRequest): PathNotFoundError {
  return new PathNotFoundError(method, url.split('?', 1)[0] ?? '')
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
