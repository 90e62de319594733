/** What every test of the client needs: two fake registries, an image in one, clients to close. */
import { randomBytes } from 'node:crypto'
import { systemClock } from '../../protocol/clock.ts'
import { errorCode } from '../../protocol/errors.ts'
import {
  addImage,
  buildImage,
  descriptor,
  type FakeRegistry,
  startFakeRegistry,
} from './fake-registry.ts'
import { failure, readAll } from './image-source.conformance.ts'
import type { Credentials, ImageSource, ResolvedBlob, ResolvedImage } from './image-source.ts'
import { createRegistryClient, type RegistryClientInit } from './registry-client.ts'

const { signal } = new AbortController()

/** A client that may talk to loopback over HTTP, and does not wait long. */
export function loopbackClient(init: RegistryClientInit = {}): ImageSource {
  const loopback = { allow: ['127.0.0.0/8'], insecureRegistries: ['127.0.0.0/8'] }
  return createRegistryClient(
    { ...loopback, backoffMs: 1, retriesMax: 2, ...init },
    { clock: systemClock, random: () => 0 },
  )
}

export type RegistryBench = ReturnType<typeof createBench>

/** A bench that is fresh for each test of the suite that calls this. */
export function useRegistryBench(): RegistryBench {
  const bench = createBench()
  beforeEach(() => bench.open())
  afterEach(() => bench.close())
  return bench
}

function createBench() {
  const bytes = randomBytes(3_000_000)
  const image = buildImage([bytes, randomBytes(1000)])
  const { digest, mediaType } = descriptor(bytes, '')
  const layer: ResolvedBlob = { digest, mediaType, sizeBytes: bytes.length }
  const clients: ImageSource[] = []
  let registry: FakeRegistry
  let other: FakeRegistry
  const client = (init?: RegistryClientInit): ImageSource => {
    const made = loopbackClient(init)
    clients.push(made)
    return made
  }
  return {
    image,
    layer,
    layerBytes: bytes,
    layerPath: `/v2/acme/app/blobs/${digest}`,
    client,
    get registry() {
      return registry
    },
    /** Another host: a realm, or where redirects lead. */
    get other() {
      return other
    },
    get repository() {
      return `${registry.host}/acme/app`
    },
    resolve(tag = 'v1', credentials?: Credentials, source = client()): Promise<ResolvedImage> {
      return source.resolve(`${registry.host}/acme/app:${tag}`, credentials, { signal })
    },
    read(source: ImageSource, fromByte = 0, credentials?: Credentials): Promise<Buffer> {
      const options = { fromByte, signal }
      return readAll(source.readBlob(`${registry.host}/acme/app`, layer, credentials, options))
    },
    layerReads: () => registry.asked.filter(({ path }) => path === `/v2/acme/app/blobs/${digest}`),
    async open(): Promise<void> {
      ;[registry, other] = await Promise.all([startFakeRegistry(), startFakeRegistry()])
      addImage(registry, 'v1', image)
    },
    async close(): Promise<void> {
      await Promise.all(clients.splice(0).map((source) => source.close()))
      await Promise.all([registry.close(), other.close()])
    },
  }
}

/** The code that a promise rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  return errorCode(await failure(promise))
}
