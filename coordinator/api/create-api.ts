/**
 * The HTTP API: SaladCloud's paths, fields and errors under `/api/public`, documentation under
 * `/docs`. It writes what tenants want and reads what is observed; it never places anything itself.
 */
import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { TSchema } from 'typebox'
import { describeError, errorCode } from '../../protocol/errors.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { type AdminParts, adminRoutes } from './admin/index.ts'
import { guardAccess, guardAdmin, guardLoad, guardWrites, pathNotFound } from './guards.ts'
import { parseJsonBodies } from './json-body.ts'
import { documentAnswers, openapiInfo } from './openapi.ts'
import { answerFor, problemMediaType, problemOf } from './problems.ts'
import { availabilityRoutes } from './routes/availability.ts'
import { billingRoutes } from './routes/billing.ts'
import { containerGroupRoutes } from './routes/container-groups.ts'
import type { RouteContext } from './routes/context.ts'
import { explainRoutes } from './routes/explain.ts'
import { type Health, healthRoutes } from './routes/health.ts'
import { inferenceEndpointRoutes } from './routes/inference-endpoints.ts'
import { instanceRoutes } from './routes/instances.ts'
import { jobRoutes } from './routes/jobs.ts'
import { logRoutes } from './routes/logs.ts'
import { organizationRoutes } from './routes/organization.ts'
import { queueRoutes } from './routes/queues.ts'
import { webhookSecretKeyRoutes } from './routes/webhook-secret-key.ts'
import { type ApiSettings, defaultApiSettings } from './settings.ts'
import { createCheck, queryReader } from './validation.ts'

/** What clients put after `http://host:port` into their `baseUrl`. */
export const apiPrefix = '/api/public'

/** The operators' API, for `potluck admin`. */
const adminPrefix = '/api/admin'

/** What is told of each answer; never the URL's query or a body. */
export type AnsweredRequest = Readonly<{
  method: string
  /** As registered, with its parameters' names; undefined: there is no such route. */
  route: string | undefined
  status: number
  ms: number
}>

export type CreateApiInit = Readonly<{
  logger: Logger
  settings?: Partial<ApiSettings>
  /** Throws while nothing may be changed. */
  checkWrite?: () => void
  /** Without them there is no admin API. */
  admin?: AdminParts
  /** Absent: always ready. */
  health?: Health
  /** Called for each answer, once it is sent. */
  onAnswered?: (request: AnsweredRequest) => void
}> &
  Omit<RouteContext, 'settings'>

/** Not listening yet: `await app.listen({ host, port })`; `app.close()` ends requests first. */
export async function createApi({
  logger,
  settings: given,
  checkWrite = () => undefined,
  admin,
  health = { readiness: async () => ({ storeWritable: true, settled: true, inForce: true }) },
  onAnswered = () => undefined,
  ...parts
}: CreateApiInit): Promise<FastifyInstance> {
  const settings: ApiSettings = { ...defaultApiSettings, ...given }
  const context: RouteContext = { ...parts, settings }
  const log = logger.child({ part: 'api' })
  const app = createServer(settings, log)

  guardLoad(app, settings)
  parseJsonBodies(app)
  logRequests(app, log, onAnswered)
  await app.register(rateLimit, { global: false })
  await app.register(swagger, { openapi: openapiInfo, transform: documentAnswers })
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: docsPolicy })
  healthRoutes(app.withTypeProvider<TypeBoxTypeProvider>(), health)
  await app.register(
    async (scoped) => {
      const api = scoped.withTypeProvider<TypeBoxTypeProvider>()
      guardAccess(scoped, settings, parts)
      guardWrites(scoped, checkWrite)
      containerGroupRoutes(api, context)
      instanceRoutes(api, context)
      explainRoutes(api, context)
      queueRoutes(api, context)
      jobRoutes(api, context)
      inferenceEndpointRoutes(api, context)
      organizationRoutes(api, context)
      availabilityRoutes(api, context)
      webhookSecretKeyRoutes(api, context)
      logRoutes(api, context)
      billingRoutes(api, context)
    },
    { prefix: apiPrefix },
  )
  if (admin) {
    await app.register(
      async (scoped) => {
        guardAdmin(scoped, settings, parts)
        adminRoutes(scoped.withTypeProvider<TypeBoxTypeProvider>(), { ...context, ...admin })
      },
      { prefix: adminPrefix },
    )
  }
  await app.ready()
  return app
}

/** The plugin's own policy would send browsers to HTTPS, which a private network may not have. */
const docsPolicy =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'; frame-ancestors 'none'"

/** A server with the API's limits, validation and problems, and no routes yet. */
export function createServer(settings: ApiSettings, log: Logger): FastifyInstance {
  const app = fastify({
    logger: false,
    bodyLimit: settings.bodyBytesMax,
    requestTimeout: settings.requestTimeoutMs,
    handlerTimeout: settings.handlerTimeoutMs,
    trustProxy: settings.trustProxy,
    http: { maxHeaderSize: settings.headerBytesMax },
    forceCloseConnections: 'idle',
    requestIdHeader: false,
    genReqId: () => randomUUID(),
    routerOptions: { maxParamLength: 200 },
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (error, request, reply) => {
      answer(error, request, reply, log)
    },
  })
  app.setValidatorCompiler(({ schema, httpPart }) => {
    const check = createCheck(schema as TSchema)
    const read = httpPart === 'querystring' ? queryReader(schema as TSchema) : (it: unknown) => it
    return (given: unknown) => {
      const value = read(given)
      check(value)
      return { value }
    }
  })
  // Answers go out as they were made; tests hold them to their schemas.
  app.setSerializerCompiler(() => JSON.stringify)
  app.setErrorHandler((error, request, reply) => answer(error, request, reply, log))
  app.setNotFoundHandler((request) => {
    throw pathNotFound(request)
  })
  // Without a charset, which SaladCloud's SDK does not know to be JSON still.
  app.addHook('onSend', async (_request, reply, payload) => {
    const type = String(reply.getHeader('content-type') ?? '')
    const bare = type.replace('; charset=utf-8', '')
    if (/[/+]json$/.test(bare)) reply.header('content-type', bare)
    return payload
  })
  return app
}

function answer(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Logger,
): FastifyReply {
  const { problem, headers, isOurs } = answerFor(error, request.id)
  if (isOurs) {
    const facts = { requestId: request.id, code: errorCode(error), error: describeError(error) }
    log.error({ ...facts, route: request.routeOptions?.url }, 'request failed')
  }
  return reply
    .code(problem.status)
    .headers(headers)
    .header('content-type', problemMediaType)
    .serializer(JSON.stringify)
    .send(problem)
}

/** Bytes that are no HTTP, or headers without end: there is no request yet to answer through. */
function answerBrokenRequest(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, code] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ([431, 'HEADERS_TOO_LARGE'] as const)
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ([408, 'REQUEST_TIMEOUT'] as const)
        : ([400, 'REQUEST_MALFORMED'] as const)
  const detail = 'the request is not HTTP that this API takes'
  const problem = problemOf(status, code, detail, randomUUID())
  const body = JSON.stringify(problem)
  socket.end(
    `HTTP/1.1 ${status} ${problem.title}\r\nContent-Type: ${problemMediaType}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}

/** Never the URL's query or a body: only what the router knew, and who asked. */
function logRequests(
  app: FastifyInstance,
  log: Logger,
  onAnswered: (request: AnsweredRequest) => void,
): void {
  app.addHook('onResponse', async (request, reply) => {
    const { method, id, routeOptions } = request
    const ms = Math.round(reply.elapsedTime)
    const facts = { requestId: id, method, route: routeOptions.url, status: reply.statusCode, ms }
    log.debug(facts, 'request answered')
    onAnswered({ method, route: routeOptions.url, status: reply.statusCode, ms: reply.elapsedTime })
  })
}
