/**
 * The OCI distribution client: reads images from Docker Hub and every registry like it. Source:
 * opencontainers/distribution-spec 1.1, "Pulling manifests" and "Pulling blobs".
 */
import {
  createGuardedDispatcher,
  type GuardedDispatcherComponents,
  type GuardedDispatcherInit,
} from '../../protocol/address/index.ts'
import type { Clock } from '../../protocol/clock.ts'
import type { Digest } from '../../protocol/ids.ts'
import { type AuthorizedRequest, createAuthorizer } from './authorizer.ts'
import { readBlobBytes } from './blob-reader.ts'
import { digestOf } from './digest.ts'
import { ImageSourceError } from './errors.ts'
import type { Credentials, ImageSource, ResolvedBlob, ResolvedImage } from './image-source.ts'
import {
  chooseEntry,
  MANIFEST_ACCEPT,
  MANIFEST_BYTES_MAX,
  type ParsedManifest,
  parseManifest,
} from './manifest.ts'
import { LINUX_AMD64, type Platform } from './platform.ts'
import { readAtMost } from './read-at-most.ts'
import {
  apiHost,
  formatReference,
  parseReference,
  parseRepository,
  type Reference,
  repositoryOf,
} from './reference.ts'
import { responseFault, unauthorized } from './response-fault.ts'
import { createRetry, type RetryInit } from './retry.ts'
import { type Answer, createTransport, dump, type TransportInit } from './transport.ts'

export type RegistryClientInit = TransportInit &
  RetryInit &
  GuardedDispatcherInit &
  Readonly<{
    platform?: Platform
    /** How long a manifest with its token and redirects may take, a try. */
    manifestMs?: number
  }>

export type RegistryClientComponents = GuardedDispatcherComponents &
  Readonly<{ clock: Clock; random?: () => number }>

type Fetched = Readonly<{ bytes: Uint8Array; digest: Digest; parsed: ParsedManifest }>

/** The client owns its connections; `close()` ends them. */
export function createRegistryClient(
  init: RegistryClientInit,
  { clock, random = Math.random, ...components }: RegistryClientComponents,
): ImageSource {
  const { platform = LINUX_AMD64, manifestMs = 60_000 } = init
  const dispatcher = createGuardedDispatcher(init, components)
  const transport = createTransport(init, { dispatcher })
  const authorizer = createAuthorizer({ transport, clock })
  const retry = createRetry(init, { clock, random })
  const closing = new AbortController()
  let closed: Promise<void> | undefined

  function requestFor(
    { registry, path }: Readonly<{ registry: string; path: string }>,
    what: string,
    credentials: Credentials | undefined,
    signal: AbortSignal,
  ): AuthorizedRequest {
    const origin = transport.origin(apiHost(registry))
    const authenticated = credentials !== undefined
    return { registry, path, origin, what, credentials, authenticated, signal }
  }

  /** Sends with what is known; a 401 is answered once, with a fresh token or the password. */
  async function send(
    request: AuthorizedRequest,
    method: 'GET' | 'HEAD',
    suffix: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const { origin, path, signal } = request
    const url = new URL(`/v2/${path}/${suffix}`, origin)
    const exchange = { method, url, headers, signal }
    if (suffix.startsWith('blobs/')) await authorizer.greet(request)
    const known = authorizer.known(request)
    const first = await transport.send({ ...exchange, authorization: known })
    if (first.status !== 401 || first.redirectedTo !== undefined) return first
    await dump(first.body)
    const authorization = await authorizer.answer(request, first)
    const second = await transport.send({ ...exchange, authorization })
    if (second.status !== 401 || second.redirectedTo !== undefined) return second
    await dump(second.body)
    throw unauthorized(second.status, request)
  }

  async function fetchManifest(request: AuthorizedRequest, named: string): Promise<Fetched> {
    const answer = await send(request, 'GET', `manifests/${named}`, { accept: MANIFEST_ACCEPT })
    if (answer.status !== 200) {
      await dump(answer.body)
      throw responseFault(answer, request)
    }
    const bytes = await readAtMost(
      answer.body,
      MANIFEST_BYTES_MAX,
      request.registry,
      request.signal,
    )
    const digest = digestOf(bytes)
    const header = answer.headers['docker-content-digest']
    const claimed = named.startsWith('sha256:') ? named : header
    if (typeof claimed === 'string' && claimed.startsWith('sha256:') && claimed !== digest) {
      throw digestMismatch(request, claimed.slice(0, 71), digest)
    }
    const type = answer.headers['content-type']
    const contentType = typeof type === 'string' ? type.split(';')[0]?.trim() : undefined
    return {
      bytes,
      digest,
      parsed: parseManifest(request.what.replace(/^manifest of /, ''), bytes, contentType),
    }
  }

  /** With a deadline of its own for each try: a server that drips must not hold a pull for ever. */
  function fetchManifestInTime(request: AuthorizedRequest, named: string): Promise<Fetched> {
    return retry.run(async () => {
      const deadline = AbortSignal.timeout(manifestMs)
      const signal = AbortSignal.any([request.signal, deadline])
      try {
        return await fetchManifest({ ...request, signal }, named)
      } catch (error) {
        if (deadline.aborted && !request.signal.aborted) throw tooSlow(request, manifestMs)
        throw error
      }
    }, request.signal)
  }

  async function resolve(
    reference: Reference,
    credentials: Credentials | undefined,
    signal: AbortSignal,
  ): Promise<ResolvedImage> {
    const image = formatReference(reference)
    const request = requestFor(reference, `manifest of ${image}`, credentials, signal)
    let found = await fetchManifestInTime(request, reference.digest ?? reference.tag ?? 'latest')
    if (found.parsed.kind === 'index') {
      const { blob } = chooseEntry(image, found.parsed.entries, platform)
      found = await fetchManifestInTime(request, blob.digest)
    }
    const { bytes, digest, parsed } = found
    if (parsed.kind === 'index') {
      throw new ImageSourceError(
        'MANIFEST_UNSUPPORTED',
        `${image} is an index of indexes. Push it flat`,
        {
          fields: { image },
        },
      )
    }
    return {
      reference: image,
      repository: repositoryOf(reference),
      manifest: bytes,
      manifestDigest: digest,
      mediaType: parsed.mediaType,
      config: parsed.config,
      layers: parsed.layers,
      sizeBytes: distinctBytes([parsed.config, ...parsed.layers]),
      public: credentials === undefined,
    }
  }

  return {
    async resolve(text, credentials, options) {
      const signal = AbortSignal.any([options.signal, closing.signal])
      return await resolve(parseReference(text), credentials, signal)
    },
    readBlob(repository, blob, credentials, { fromByte, signal: caller }) {
      const signal = AbortSignal.any([caller, closing.signal])
      const what = `blob ${blob.digest} of ${repository}`
      const asked = requestFor(parseRepository(repository), what, credentials, signal)
      const open = (headers: Readonly<Record<string, string>>) =>
        send(asked, 'GET', `blobs/${blob.digest}`, headers)
      return readBlobBytes({ blob, fromByte, asked, signal, open }, { retry })
    },
    async hasBlob(repository, digest, credentials, options) {
      const signal = AbortSignal.any([options.signal, closing.signal])
      const what = `blob ${digest} of ${repository}`
      const request = requestFor(parseRepository(repository), what, credentials, signal)
      return await retry.run(async () => {
        const answer = await send(request, 'HEAD', `blobs/${digest}`)
        await dump(answer.body)
        if (answer.status === 200) return true
        if (answer.status === 404) return false
        throw responseFault(answer, request)
      }, signal)
    },
    close() {
      closing.abort(new ImageSourceError('REGISTRY_UNREACHABLE', 'the registry client was closed'))
      closed ??= dispatcher.destroy()
      return closed
    },
  }
}

function distinctBytes(blobs: readonly ResolvedBlob[]): number {
  const sizes = new Map(blobs.map(({ digest, sizeBytes }) => [digest, sizeBytes]))
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}

function digestMismatch({ registry, what }: AuthorizedRequest, expected: string, actual: Digest) {
  return new ImageSourceError(
    'DIGEST_MISMATCH',
    `registry ${registry} sends a ${what} that is ${actual}, not ${expected}. Push it again`,
    { fields: { registry, expected, actual } },
  )
}

function tooSlow({ registry, what }: AuthorizedRequest, manifestMs: number): ImageSourceError {
  return new ImageSourceError(
    'REGISTRY_UNREACHABLE',
    `registry ${registry} did not bring the ${what} within ${manifestMs / 1000} s`,
    { fields: { registry, manifestMs }, transient: true },
  )
}
