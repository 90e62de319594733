/**
 * A bound on open files. A store of a thousand blobs with two files each would otherwise pass the
 * 1,024 descriptors that a process gets by default. The least recently used idle file is closed.
 */
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

export interface FilePool {
  /** Lends the file (made if absent) while `work` runs. Many may use one file at once. */
  use<T>(path: string, work: (file: FileHandle) => Promise<T>): Promise<T>
  /** Closes a file that nobody uses, before it is removed. */
  forget(path: string): Promise<void>
  /** Closes all; nobody may be using any. */
  close(): Promise<void>
}

type Entry = { readonly opened: Promise<FileHandle>; users: number }

/** Open files, the least recently used closed first. @param openMax files open at once; more only while more are in use at the same moment. */
export function createFilePool({ openMax = 64 }: { readonly openMax?: number } = {}): FilePool {
  const entries = new Map<string, Entry>() // the least recently used first

  const closeEntry = async (path: string, entry: Entry): Promise<void> => {
    // Another may have closed it meanwhile, and a third opened the path anew: that one stays.
    if (entries.get(path) !== entry) return
    entries.delete(path)
    const file = await entry.opened.catch(() => undefined)
    await file?.close()
  }
  const closeSurplus = async (): Promise<void> => {
    let surplus = entries.size - openMax
    for (const [path, entry] of [...entries]) {
      if (surplus <= 0) return
      if (entry.users > 0) continue
      surplus -= 1
      await closeEntry(path, entry)
    }
  }
  return {
    async use(path, work) {
      const flags = constants.O_RDWR | constants.O_CREAT
      const entry = entries.get(path) ?? { opened: open(path, flags, 0o600), users: 0 }
      entry.users += 1
      entries.delete(path)
      entries.set(path, entry)
      try {
        return await work(await entry.opened)
      } catch (error) {
        // One that could not be opened must not stand in the way of the next try.
        if ((await isRejected(entry.opened)) && entries.get(path) === entry) entries.delete(path)
        throw error
      } finally {
        entry.users -= 1
        if (entries.size > openMax) await closeSurplus()
      }
    },
    async forget(path) {
      const entry = entries.get(path)
      if (entry) await closeEntry(path, entry)
    },
    async close() {
      for (const [path, entry] of [...entries]) await closeEntry(path, entry)
    },
  }
}

async function isRejected(promise: Promise<unknown>): Promise<boolean> {
  return promise.then(
    () => false,
    () => true,
  )
}
