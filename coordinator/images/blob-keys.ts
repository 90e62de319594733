/**
 * The blobs' keys: drawn once per (scope, digest, size, chunk size), so that a blob that two images
 * share travels once, and sealed at rest. The size counts because a cache or a registry says it: a
 * wrong one would give the honest blob's id to something cut otherwise. In memory they stay sealed too and are opened for one order at
 * a time.
 */
import { randomBytes } from 'node:crypto'
import { blobKeyBytes, chunkSizeFor } from '../../protocol/bundle/index.ts'
import type { Digest } from '../../protocol/ids.ts'
import { collection, type Store } from '../../protocol/store/index.ts'
import { BytesSchema } from '../../protocol/wire/index.ts'
import type { Sealer } from '../secrets/index.ts'

export type BlobName = Readonly<{ digest: Digest; sizeBytes: number }>

export interface BlobKeys {
  /** The key (32 bytes) of each blob, durable before this resolves. */
  draw(scope: string, blobs: readonly BlobName[]): Promise<readonly Uint8Array[]>
  /** A key that was drawn; undefined when it was dropped. @throws {SecretUnreadableError} */
  open(scope: string, blob: BlobName): Uint8Array | undefined
  /** Forgets keys of `scope` but those of `keep`, by {@link blobName}. */
  drop(scope: string, blobs: readonly BlobName[], keep: ReadonlySet<string>): Promise<void>
}

/** What two blobs must have in common to have a key in common, within a scope. */
export function blobName({ digest, sizeBytes }: BlobName): string {
  return `${digest}/${sizeBytes}/${chunkSizeFor(sizeBytes)}`
}

export async function openBlobKeys({
  store,
  sealer,
}: Readonly<{ store: Store; sealer: Sealer }>): Promise<BlobKeys> {
  const records = collection(store, 'blob-keys', BytesSchema(30, 1_024))
  const sealedKeys = new Map<string, Uint8Array>()
  for await (const [name, sealed] of records.entries()) sealedKeys.set(name, sealed)
  let tail: Promise<unknown> = Promise.resolve()

  const nameOf = (scope: string, blob: BlobName): string => `${scope}/${blobName(blob)}`
  const place = (name: string) => ({ record: `blob-key/${name}`, field: 'key' })
  const open: BlobKeys['open'] = (scope, blob) => {
    const name = nameOf(scope, blob)
    const sealed = sealedKeys.get(name)
    return sealed && new Uint8Array(sealer.open(place(name), sealed))
  }
  /** One after the other: two draws of one blob at once must give one key. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = tail.then(work)
    tail = done.catch(() => undefined)
    return done
  }
  return {
    open,
    draw: (scope, blobs) =>
      inTurn(async () => {
        const fresh = new Map<string, Uint8Array>()
        for (const blob of blobs) {
          const name = nameOf(scope, blob)
          if (sealedKeys.has(name)) continue
          const key = randomBytes(blobKeyBytes)
          fresh.set(name, sealer.seal(place(name), key))
        }
        await store.batch([...fresh].map(([name, sealed]) => records.putOperation(name, sealed)))
        for (const [name, sealed] of fresh) sealedKeys.set(name, sealed)
        return blobs.map((blob) => open(scope, blob) as Uint8Array)
      }),
    drop: (scope, blobs, keep) =>
      inTurn(async () => {
        const names = blobs.filter((at) => !keep.has(blobName(at))).map((at) => nameOf(scope, at))
        await store.batch(names.map((name) => records.deleteOperation(name)))
        for (const name of names) sealedKeys.delete(name)
      }),
  }
}
