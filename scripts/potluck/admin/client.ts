/** Speaks the coordinator's admin API: one request a command, an answer or an error for people. */
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import { NoCoordinatorError, RefusedError } from './errors.ts'

export type Answer = Readonly<Record<string, unknown>>

export interface AdminClient {
  /** @throws {NoCoordinatorError} @throws {RefusedError} */
  get(path: string): Promise<Answer>
  post(path: string, body: Answer): Promise<Answer>
  put(path: string, body: Answer): Promise<Answer>
  patch(path: string, body: Answer): Promise<Answer>
  delete(path: string): Promise<Answer>
}

export type AdminClientInit = Readonly<{ api: string; key: string; timeoutMs?: number }>

const isProblem = Compile(Type.Object({ detail: Type.String(), code: Type.String() }))
const isAnswer = Compile(Type.Record(Type.String(), Type.Unknown()))

export function createAdminClient({ api, key, timeoutMs = 30_000 }: AdminClientInit): AdminClient {
  const send = async (method: string, path: string, body?: Answer): Promise<Answer> => {
    const response = await fetch(`${api}/api/admin${path}`, {
      method,
      headers: { 'Salad-Api-Key': key, ...(body && { 'Content-Type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
      // The key is for this address and no other.
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    }).catch((error: unknown) => {
      throw new NoCoordinatorError(api, problemOf(error), error)
    })
    const text = await response.text()
    if (response.status === 204) return {}
    const json = parse(text)
    if (response.ok && isAnswer.Check(json)) return json
    if (!isProblem.Check(json)) {
      throw new NoCoordinatorError(api, `what answers there (status ${response.status}) is none`)
    }
    if (json.code === 'PATH_NOT_FOUND') throw new RefusedError(wrongKey(api), false)
    throw new RefusedError(json.detail, response.status === 400)
  }
  return {
    get: (path) => send('GET', path),
    post: (path, body) => send('POST', path, body),
    put: (path, body) => send('PUT', path, body),
    patch: (path, body) => send('PATCH', path, body),
    delete: (path) => send('DELETE', path),
  }
}

/** A part of a path from a word of the command line. */
export function part(word: string): string {
  return encodeURIComponent(word)
}

/** The coordinator tells nobody whether it has an admin API. */
function wrongKey(api: string): string {
  return `the coordinator at ${api} does not take this admin key: check that it is whole, is an admin key and has not been revoked`
}

function problemOf(error: unknown): string {
  const { cause } = error as { readonly cause?: unknown }
  const inner = cause instanceof Error ? cause : (error as Error)
  return inner.message || inner.name
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
