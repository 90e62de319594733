/**
 * The store's folder: where each thing lies, and how a file is written so that a reader finds the
 * old one or the new one and never half of it. Names are hex ids of our own making and nothing
 * else, so no peer can choose a path.
 */
import { chmod, type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { BlobId, BundleId } from '../ids.ts'

export type StoreFiles = Readonly<{
  /** Which boot of the machine the bitmaps can be trusted in. */
  state: string
  descriptorsFolder: string
  blobsFolder: string
  descriptor(id: BundleId): string
  /** Chunk i at i × (chunk size + tag). */
  chunks(id: BlobId): string
  /** A bit a chunk, set after the chunk was written. */
  held(id: BlobId): string
  /** Of a draft only: its length and the names so far. */
  names(id: BlobId): string
}>

export const descriptorSuffix = '.descriptor'
export const temporarySuffix = '.tmp'

/** The paths of a store below `root`. */
export function storeFiles(root: string): StoreFiles {
  const descriptorsFolder = join(root, 'descriptors')
  const blobsFolder = join(root, 'blobs')
  return {
    state: join(root, 'state.json'),
    descriptorsFolder,
    blobsFolder,
    descriptor: (id) => join(descriptorsFolder, id + descriptorSuffix),
    chunks: (id) => join(blobsFolder, `${id}.chunks`),
    held: (id) => join(blobsFolder, `${id}.held`),
    names: (id) => join(blobsFolder, `${id}.names`),
  }
}

/** Makes the folders, for this user alone: who runs what is nobody else's business. */
export async function makeFolders(root: string, files: StoreFiles): Promise<void> {
  for (const folder of [root, files.descriptorsFolder, files.blobsFolder]) {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await chmod(folder, 0o700)
  }
}

/** Writes a whole file that survives a power cut: synced under another name, then renamed. */
export async function writeWhole(path: string, bytes: Uint8Array | string): Promise<void> {
  const temporary = path + temporarySuffix
  const file = await open(temporary, 'w', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  await syncFolder(dirname(path))
}

/** Removes files; those that are not there are no matter. */
export async function removeFiles(...paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true })
}

/** Writes all of `bytes` at `position`. */
export async function writeAt(
  file: FileHandle,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at)
    at += bytesWritten
  }
}

async function syncFolder(folder: string): Promise<void> {
  // A folder cannot be opened on Windows, where a rename needs no such help.
  if (process.platform === 'win32') return
  const file = await open(folder, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
