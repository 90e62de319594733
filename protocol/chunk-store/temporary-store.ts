/** A store in a folder of its own for tests, removed at their end. */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BlobId } from '../ids.ts'
import { silentLogger } from '../log/types.ts'
import { type BundleStoreInit, openBundleStore } from './bundle-store.ts'
import type { BundleStore } from './types.ts'

export type TemporaryStore = Readonly<{
  root: string
  /** Opens it (again): close the last one first, or leave it open to play a killed process. */
  open(init?: Partial<BundleStoreInit> & { readonly bootId?: string }): Promise<BundleStore>
  /** Closes what is open and removes the folder. */
  remove(): Promise<void>
  chunksFile(blob: BlobId): string
  /** What the folder takes on disk, by the file system's own account. */
  diskBytes(): Promise<number>
}>

/** A store in a folder of its own, for tests; `dispose` removes both. */
export async function createTemporaryStore(): Promise<TemporaryStore> {
  const root = await mkdtemp(join(tmpdir(), 'potluck-store-'))
  const opened: BundleStore[] = []
  return {
    root,
    async open({ bootId = 'boot 1', ...init } = {}) {
      const store = await openBundleStore(
        { root, budgetBytes: 2 ** 30, ...init },
        { logger: silentLogger, bootId: () => bootId },
      )
      opened.push(store)
      return store
    },
    async remove() {
      for (const store of opened) await store.close()
      await rm(root, { recursive: true })
    },
    chunksFile: (blob) => join(root, 'blobs', `${blob}.chunks`),
    async diskBytes() {
      const names = await readdir(root, { recursive: true })
      const all = await Promise.all(['.', ...names].map((name) => stat(join(root, name))))
      return all.reduce((sum, { blocks }) => sum + blocks * 512, 0)
    },
  }
}
