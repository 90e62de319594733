/**
 * Answers a registry's challenge: Basic, or a Bearer token from the realm that it names.
 *
 * What was learnt is kept for the next request, so that a blob is asked for once and not refused
 * first. It hangs on the credentials object itself: when the pull that brought them lets go of it,
 * tokens and password are gone. Source: distribution-spec, "Token Authentication Specification".
 */
import { LRUCache } from 'lru-cache'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { Clock } from '../../protocol/clock.ts'
import { type Challenge, parseChallenge } from './challenge.ts'
import { ImageSourceError } from './errors.ts'
import type { Credentials } from './image-source.ts'
import { readAtMost } from './read-at-most.ts'
import { type Asked, responseFault, unauthorized } from './response-fault.ts'
import { type Answer, dump, type Transport } from './transport.ts'

export type AuthorizedRequest = Asked &
  Readonly<{
    origin: URL
    /** The repository's path at that registry. */
    path: string
    credentials: Credentials | undefined
    signal: AbortSignal
  }>

export interface Authorizer {
  /** The `Authorization` to send, if one is known and has not run out. */
  known(request: AuthorizedRequest): string | undefined
  /**
   * Learns what a registry wants before a blob is asked of it, so that a blob is asked for once and
   * not refused first, also when another process resolved the image. Once a pull and repository.
   */
  greet(request: AuthorizedRequest): Promise<void>
  /**
   * A new one, for the challenge in a 401.
   * @throws {ImageSourceError} `UNAUTHORIZED` where the challenge or the realm cannot be satisfied.
   */
  answer(request: AuthorizedRequest, refusal: Answer): Promise<string>
}

type Held = Readonly<{ header: string; expiresAtMs: number }>

const TokenSchema = Type.Object({
  token: Type.Optional(Type.String({ pattern: '^[\\x21-\\x7e]+$' })),
  access_token: Type.Optional(Type.String({ pattern: '^[\\x21-\\x7e]+$' })),
  expires_in: Type.Optional(Type.Number({ minimum: 0 })),
})
const tokenSchema = Compile(TokenSchema)
const TOKEN_BYTES_MAX = 256 * 1024
/** What the specification says where a realm is silent. */
const TOKEN_LIFE_S = 60
/** Repositories whose tokens are remembered for one pull, or for all pulls without credentials. */
const HELD_MAX = 256
const anonymous = {}
/** Asked, and nothing is wanted: never sent, since it has run out from the start. */
const openDoor: Held = { header: '', expiresAtMs: 0 }

export function createAuthorizer({
  transport,
  clock,
}: {
  readonly transport: Transport
  readonly clock: Clock
}): Authorizer {
  const held = new WeakMap<object, LRUCache<string, Held>>()
  /** Under way; blobs of one image are read at the same time. */
  const greetings = new WeakMap<object, Map<string, Promise<void>>>()

  function heldFor({ credentials }: AuthorizedRequest): LRUCache<string, Held> {
    const owner = credentials ?? anonymous
    const known = held.get(owner) ?? new LRUCache<string, Held>({ max: HELD_MAX })
    held.set(owner, known)
    return known
  }

  async function fetchToken(
    request: AuthorizedRequest,
    challenge: Extract<Challenge, { scheme: 'bearer' }>,
  ): Promise<Held> {
    const url = realmUrl(request, challenge, transport)
    const { credentials, signal } = request
    const authorization = credentials && basicHeader(credentials)
    const answer = await transport.send({ method: 'GET', url, headers: {}, authorization, signal })
    const asked = { ...request, what: `token for the ${request.what} (from ${url.host})` }
    if (answer.status !== 200) {
      await dump(answer.body)
      if (answer.status === 401 || answer.status === 403) throw unauthorized(answer.status, request)
      throw tokenFault(responseFault(answer, asked))
    }
    const bytes = await readAtMost(answer.body, TOKEN_BYTES_MAX, url.host, signal)
    const token = parseToken(bytes)
    if (!token) {
      throw new ImageSourceError('REGISTRY_ERROR', `${url.host} answers with no valid token`, {
        fields: { registry: request.registry, realm: url.host },
      })
    }
    // A tenth early, so that a token does not run out on its way.
    return { header: `Bearer ${token.text}`, expiresAtMs: clock.nowMs() + token.lifeS * 900 }
  }

  async function headerFor(request: AuthorizedRequest, refusal: Answer): Promise<Held> {
    const challenge = parseChallenge(refusal.headers['www-authenticate'])
    const { credentials } = request
    if (!challenge || (challenge.scheme === 'basic' && !credentials)) {
      throw unauthorized(refusal.status, request)
    }
    if (challenge.scheme === 'bearer') return await fetchToken(request, challenge)
    return { header: credentials ? basicHeader(credentials) : '', expiresAtMs: Infinity }
  }

  /** Source: distribution-spec, end-1: `GET /v2/` is where a registry states its challenge. */
  async function ask(request: AuthorizedRequest): Promise<Held> {
    const url = new URL('/v2/', request.origin)
    const hello = { method: 'GET', url, headers: {}, signal: request.signal } as const
    const answer = await transport.send({ ...hello, authorization: undefined })
    await dump(answer.body)
    const isChallenge = answer.status === 401 && answer.redirectedTo === undefined
    return isChallenge ? await headerFor(request, answer) : openDoor
  }

  return {
    known(request) {
      const found = heldFor(request).get(keyOf(request))
      return found && clock.nowMs() < found.expiresAtMs ? found.header : undefined
    },
    greet(request) {
      const known = heldFor(request)
      const key = keyOf(request)
      if (known.has(key)) return Promise.resolve()
      const owner = greetings.get(known) ?? new Map<string, Promise<void>>()
      greetings.set(known, owner)
      const greeting =
        owner.get(key) ??
        ask(request)
          .then((learnt) => void known.set(key, learnt))
          .finally(() => owner.delete(key))
      owner.set(key, greeting)
      return greeting.catch((error: unknown) => {
        if (error instanceof ImageSourceError) throw error
        request.signal.throwIfAborted() // else it was another caller who left
      })
    },
    async answer(request, refusal) {
      const fresh = await headerFor(request, refusal)
      heldFor(request).set(keyOf(request), fresh)
      return fresh.header
    },
  }
}

function keyOf({ origin, path }: AuthorizedRequest): string {
  return `${origin.origin}/${path}`
}

/** The realm's URL. A registry may name another host (Docker Hub does), but not one without TLS. */
function realmUrl(
  { registry, path }: AuthorizedRequest,
  { realm, service, scope }: Extract<Challenge, { scheme: 'bearer' }>,
  transport: Transport,
): URL {
  const url = URL.parse(realm)
  const secure = url?.protocol === 'https:'
  const insecureAllowed =
    url?.protocol === 'http:' && transport.origin(url.host).protocol === 'http:'
  if (!url || !(secure || insecureAllowed)) {
    const why = url ? `${url.host || 'one'} without TLS` : 'no valid address'
    throw new ImageSourceError(
      url ? 'REGISTRY_INSECURE' : 'REGISTRY_ERROR',
      `registry ${registry} names a token realm at ${why}`,
      {
        fields: { registry },
      },
    )
  }
  url.username = ''
  url.password = ''
  if (service !== undefined) url.searchParams.set('service', service)
  url.searchParams.set('scope', scope ?? `repository:${path}:pull`)
  return url
}

function parseToken(bytes: Uint8Array): { text: string; lifeS: number } | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    if (!tokenSchema.Check(value)) return undefined
    const text = value.token ?? value.access_token
    return text === undefined ? undefined : { text, lifeS: value.expires_in || TOKEN_LIFE_S }
  } catch {
    return undefined // the parser's message would quote the token
  }
}

/** A realm without the page is a broken registry, not a missing image. */
function tokenFault(fault: ImageSourceError): ImageSourceError {
  if (fault.code !== 'IMAGE_NOT_FOUND') return fault
  return new ImageSourceError('REGISTRY_ERROR', fault.message, { fields: fault.fields })
}

function basicHeader({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`
}
