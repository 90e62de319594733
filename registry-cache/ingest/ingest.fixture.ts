/** An ingester over a fake registry and a store in a folder of its own, for tests. */
import { randomBytes } from 'node:crypto'
import { readBlobRange } from '../../protocol/bundle/index.ts'
import type { BundleStore } from '../../protocol/chunk-store/index.ts'
import { createTemporaryStore } from '../../protocol/chunk-store/temporary-store.ts'
import type { BundleId, Digest } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { buildImage, type FakeRegistry, startFakeRegistry } from '../oci/fake-registry.ts'
import { digestOf, type ImageSource } from '../oci/index.ts'
import { loopbackClient } from '../oci/registry-bench.fixture.ts'
import { createIngester, type Ingester, type IngesterInit, type IngestRequest } from './index.ts'

export type IngestBench = Readonly<{
  registry: FakeRegistry
  source: ImageSource
  store: BundleStore
  ingester: Ingester
  announced: readonly BundleId[]
  root: string
  /** Puts an image's blobs into the registry; what an ingest of it asks for. */
  publish(layers: readonly Uint8Array[], options?: { architecture?: string }): IngestRequest
  /** The blobs as the bundle holds them, decrypted. */
  read(bundle: BundleId, request: IngestRequest): Promise<Buffer[]>
  /** GETs of a blob that the registry saw. */
  readsOf(digest: Digest): number
  /** Another life of the cache over the same folder: the old one is left as kill -9 leaves it. */
  restart(init?: IngesterInit): Promise<{ ingester: Ingester; store: BundleStore }>
  close(): Promise<void>
}>

/** Keys as the coordinator draws them: one a digest. */
const keys = new Map<Digest, Uint8Array>()
export function keyOf(digest: Digest): Uint8Array {
  const key = keys.get(digest) ?? new Uint8Array(randomBytes(32))
  keys.set(digest, key)
  return key
}

export async function openIngestBench(
  init: IngesterInit = {},
  storeInit: { readonly budgetBytes?: number } = {},
): Promise<IngestBench> {
  const [registry, folder] = await Promise.all([startFakeRegistry(), createTemporaryStore()])
  const source = loopbackClient()
  const announced: BundleId[] = []
  const announce = (bundle: BundleId): void => {
    announced.push(bundle)
  }
  const ingesters: Ingester[] = []
  const open = async (more: IngesterInit = {}) => {
    const store = await folder.open(storeInit)
    const components = { store, source, announce, logger: silentLogger }
    const ingester = createIngester({ ...init, ...more }, components)
    ingesters.push(ingester)
    return { ingester, store }
  }
  const { ingester, store } = await open()
  return {
    ...{ registry, source, store, ingester, announced },
    root: folder.root,
    publish(layers, options) {
      const { blobs } = buildImage(layers, options)
      for (const blob of blobs) registry.blobs.set(digestOf(blob), blob)
      return {
        repository: `${registry.host}/acme/app`,
        credentials: undefined,
        blobs: blobs.map((bytes) => {
          const digest = digestOf(bytes)
          return { digest, sizeBytes: bytes.length, mediaType: 'x/y', key: keyOf(digest) }
        }),
      }
    },
    async read(bundle, { blobs }) {
      const stored = store.get(bundle)
      if (!stored) throw new Error(`no bundle ${bundle}`)
      const { signal } = new AbortController()
      return await Promise.all(
        blobs.map(async ({ key }, index) =>
          Buffer.concat(await Array.fromAsync(readBlobRange(stored, index, key, { signal }))),
        ),
      )
    },
    readsOf: (digest) => registry.asked.filter(({ path }) => path.endsWith(digest)).length,
    restart: open,
    async close() {
      await Promise.all(ingesters.map((one) => one.stop()))
      await source.close()
      await registry.close()
      await folder.remove()
    },
  }
}
