/**
 * The one door to Docker's API. Every call has a deadline and the caller's signal, every error is
 * one of ours, and every answer is checked before it is believed. Without it a hung dockerd would
 * hang the daemon, and dockerode would throw away what `create` warns of.
 */
import { Agent } from 'node:http'
import type { default as Docker, DockerOptions } from 'dockerode'
import type { Static, TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import { describeError, errorCode } from '../../protocol/errors.ts'
import { DockerClient } from './dockerode.ts'
import { EngineError, type EngineErrorCode } from './errors.ts'

/** A call that moves no image is answered in milliseconds; a disk in trouble takes seconds. */
const callTimeoutMs = 60_000

export type CallOptions = Readonly<{ signal: AbortSignal; timeoutMs?: number }>

export type Query = Readonly<Record<string, string>>

export interface DockerApi {
  readonly docker: Docker
  /** Runs `fn` under a deadline. @throws {EngineError} in the caller's terms: `what` failed. */
  call<T>(what: string, options: CallOptions, fn: (signal: AbortSignal) => Promise<T>): Promise<T>
  /** Raw requests, for what dockerode does not pass on: warnings, sizes, a signal. */
  get(path: string, query: Query, options: CallOptions): Promise<unknown>
  post(path: string, query: Query, body: object, options: CallOptions): Promise<unknown>
  close(): void
}

/** Opens nothing: connections are made a call. */
export function createDockerApi({ socketPath }: { readonly socketPath: string }): DockerApi {
  // No keep-alive: a connection kept over the engine's restart fails the next call for nothing.
  const agent = new Agent({ keepAlive: false })
  // dockerode's types do not know `agent`, its modem does.
  const init: DockerOptions & { readonly agent: Agent } = { socketPath, agent }
  const docker = new DockerClient(init)

  async function call<T>(
    what: string,
    { signal, timeoutMs = callTimeoutMs }: CallOptions,
    fn: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted()
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(), timeoutMs)
    try {
      return await fn(AbortSignal.any([signal, deadline.signal]))
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (deadline.signal.aborted) {
        const seconds = Math.round(timeoutMs / 1000)
        throw unreachable(`${what}: the engine at ${socketPath} gave no answer in ${seconds} s`)
      }
      throw asEngineError(what, error, socketPath)
    } finally {
      clearTimeout(timer)
    }
  }

  function dial(
    method: 'GET' | 'POST',
    path: string,
    query: Query,
    body: object,
    callOptions: CallOptions,
  ): Promise<unknown> {
    return call(`${method} ${path}`, callOptions, (abortSignal) => {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      const statusCodes = { 200: true, 201: true, 204: true, 400: 'bad parameter', 500: 'error' }
      // Without `_query` the modem puts the whole body, Env included, into the address as well.
      const options = { _query: query, _body: body }
      const request = { path: `${path}?`, method, options, abortSignal, statusCodes }
      docker.modem.dial(request, (error: unknown, data: unknown) => {
        if (error) reject(error)
        else resolve(data)
      })
      return promise
    })
  }

  return {
    docker,
    call,
    get: (path, query, options) => dial('GET', path, query, {}, options),
    post: (path, query, body, options) => dial('POST', path, query, body, options),
    close: () => agent.destroy(),
  }
}

function unreachable(message: string, cause?: unknown): EngineError {
  return new EngineError('ENGINE_UNREACHABLE', `${message}; is it running?`, { cause })
}

/** Docker's error as ours: its own words without HTTP's, its status as a field. */
function asEngineError(what: string, error: unknown, socketPath: string): EngineError {
  if (error instanceof EngineError) return error
  const status = statusOf(error)
  if (status === undefined) {
    const code = errorCode(error)
    const message = `${what}: no answer from ${socketPath}${code ? ` (${code})` : ''}`
    return unreachable(message, error)
  }
  const words = engineWords(error)
  return new EngineError(codeOf(status, words), `${what}: ${words}`, { fields: { status } })
}

function codeOf(status: number, words: string): EngineErrorCode {
  if (status === 404 && /no such image/i.test(words)) return 'IMAGE_MISSING'
  if (status === 404) return 'CONTAINER_GONE'
  return 'ENGINE_REFUSED'
}

/** The HTTP status that Docker answered with; undefined when there was no answer. */
export function statusOf(error: unknown): number | undefined {
  if (error instanceof EngineError) {
    const { status } = error.fields
    return typeof status === 'number' ? status : undefined
  }
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return undefined
  return typeof error.statusCode === 'number' ? error.statusCode : undefined
}

function engineWords(error: unknown): string {
  const json =
    typeof error === 'object' && error !== null && 'json' in error ? error.json : undefined
  if (typeof json === 'object' && json !== null && 'message' in json) return String(json.message)
  return describeError(error)
}

/** Compiles `schema` once; the function checks an answer. @throws {EngineError} BAD_ANSWER. */
export function answerParser<S extends TSchema>(
  what: string,
  schema: S,
): (answer: unknown) => Static<S> {
  const validator: Validator<Record<never, never>, S> = Compile(schema)
  return (answer) => {
    if (validator.Check(answer)) return answer as Static<S>
    const [first] = validator.Errors(answer)
    const where = first ? `${first.instancePath || '/'} ${first.message}` : 'unknown'
    throw new EngineError(
      'ENGINE_BAD_ANSWER',
      `${what}: the engine's answer is malformed: ${where}`,
    )
  }
}
