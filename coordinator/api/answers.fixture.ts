/**
 * Holds every answer that any API test provokes to Potluck's own OpenAPI, errors too: what is not
 * documented there (a status, a media type, a field) fails the test that saw it. Without it the
 * document would slowly become a wish.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { problemMediaType } from './problems.ts'

type Plain = Readonly<Record<string, unknown>>
type Content = Readonly<Record<string, Readonly<{ schema: Plain }>>>
type Operation = Readonly<{
  operationId?: string
  responses: Readonly<Record<string, Readonly<{ content?: Content }>>>
}>
export type OpenApi = Readonly<{
  paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}>

export type Seen = Readonly<{
  method: string
  url: string
  status: number
  mediaType: string
  body: string
}>

/** What the answer breaks of the document, or undefined. */
export type AnswerCheck = (seen: Seen) => string | undefined

export function createAnswerCheck(document: OpenApi): AnswerCheck {
  const routes = Object.entries(document.paths).map(([path, operations]) => {
    const form = path.replaceAll(/[.]/g, '\\.').replaceAll(/\{[^}]+\}/g, '[^/]*')
    return { form: new RegExp(`^${form}$`), operations }
  })
  const own = new Map<Plain, Validator>()
  const fits = (schema: Plain, value: unknown): string | undefined => {
    const validator = own.get(schema) ?? validatorOf(schema)
    own.set(schema, validator)
    if (validator.Check(value)) return undefined
    const [first] = validator.Errors(value) as { instancePath: string; message: string }[]
    return `${first?.instancePath || 'the body'} ${first?.message}`
  }
  return ({ method, url, status, mediaType, body }) => {
    const path = url.split('?', 1)[0] ?? ''
    const found = routes.find(({ form, operations }) => {
      return form.test(path) && method.toLowerCase() in operations
    })
    const operation = found?.operations[method.toLowerCase()]
    // What has no route can only be refused, and not by more than the router knows.
    if (!operation)
      return status >= 400 ? undefined : `${status} is an answer of no documented path`
    const answer = operation.responses[String(status)] ?? operation.responses.default
    const isKnown = status >= 400 || String(status) in operation.responses
    if (!answer || !isKnown) return `status ${status} is not documented`
    if (!answer.content) return body === '' ? undefined : `status ${status} is to have no body`
    const content = answer.content[mediaType]
    if (!content) return `${status} as ${mediaType || 'nothing'} is not documented`
    return fits(content.schema, JSON.parse(body))
  }
}

type Validator = ReturnType<typeof Compile>

/** By the schema's text: every test has a document of its own, and they are all alike. */
const validators = new Map<string, Validator>()

function validatorOf(schema: Plain): Validator {
  const text = JSON.stringify(schema)
  const validator = validators.get(text) ?? Compile(closed(schema) as TSchema)
  validators.set(text, validator)
  return validator
}

/** Objects hold what their schema names and nothing else, unless it says that they may. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed)
  if (typeof schema !== 'object' || schema === null) return schema
  const inner = Object.entries(schema).map(([name, value]) => [name, closed(value)])
  const isOpen = 'properties' in schema && !('additionalProperties' in schema)
  return { ...Object.fromEntries(inner), ...(isOpen ? { additionalProperties: false } : {}) }
}

/** A failure that is no problem; supervisors read /readyz alike in good times and bad. */
function isBareFailure({ status, mediaType, url }: Seen): boolean {
  return status >= 400 && mediaType !== problemMediaType && url !== '/readyz'
}

/** Undocumented answers since the last test; the hook below fails the test that provoked them. */
const broken: string[] = []

/** Watches every answer of `app`: those over sockets, and those of `inject`. */
export function watchAnswers(app: FastifyInstance): void {
  const check = createAnswerCheck(app.swagger() as unknown as OpenApi)
  const look = (seen: Seen): void => {
    // The documentation's own pages are no part of the API.
    if (seen.url.startsWith('/docs')) return
    const problem = check(seen) ?? (isBareFailure(seen) ? 'no problem' : '')
    if (problem) broken.push(`${seen.method} ${seen.url}: ${problem}: ${seen.body.slice(0, 300)}`)
  }
  app.server.prependListener('request', (request, response) => collect(request, response, look))
  const inject = app.inject.bind(app) as (options: object) => Promise<{
    statusCode: number
    headers: Plain
    body: string
  }>
  const watched = async (given: string | Readonly<{ method?: string; url?: string }>) => {
    const options = typeof given === 'string' ? { url: given } : given
    const answer = await inject(options)
    look({
      ...{ method: options.method ?? 'GET', url: options.url ?? '', status: answer.statusCode },
      mediaType: mediaTypeOf(answer.headers),
      body: answer.body,
    })
    return answer
  }
  app.inject = watched as unknown as FastifyInstance['inject']
}

function mediaTypeOf({ 'content-type': type }: Plain): string {
  return typeof type === 'string' ? type : ''
}

function collect(
  { method = '', url = '' }: IncomingMessage,
  response: ServerResponse,
  look: (seen: Seen) => void,
): void {
  const chunks: Buffer[] = []
  const keep = (chunk: unknown): void => {
    if (typeof chunk === 'string' || chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk))
  }
  // Fastify hands headers over here, where `getHeader` does not find them.
  let mediaType = ''
  const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse
  response.writeHead = (...args: unknown[]) => {
    const headers = args.find((arg) => typeof arg === 'object' && arg !== null) as Plain | undefined
    mediaType = mediaTypeOf(headers ?? {})
    return writeHead(...args)
  }
  const write = response.write.bind(response) as (...args: unknown[]) => boolean
  const end = response.end.bind(response) as (...args: unknown[]) => ServerResponse
  response.write = (...args: unknown[]) => {
    keep(args[0])
    return write(...args)
  }
  response.end = (...args: unknown[]) => {
    keep(args[0])
    look({
      ...{ method, url, status: response.statusCode },
      mediaType,
      body: Buffer.concat(chunks).toString(),
    })
    return end(...args)
  }
}

/** Undocumented answers since the last call. */
export function takeBroken(): readonly string[] {
  return broken.splice(0)
}

// The fixture also serves in processes without a test runner (kill.fixture.ts).
if (typeof globalThis.afterEach === 'function') {
  globalThis.afterEach('every answer is documented', () => {
    const found = takeBroken()
    if (found.length > 0)
      throw new Error(`answers that the OpenAPI lacks:\n${found.slice(0, 5).join('\n')}`)
  })
}
