/**
 * What a store finds in its folder when it starts, which is also what it finds after a kill -9:
 * descriptors that hash to their names, bitmaps that follow the chunks, drafts with their names.
 * Whatever belongs to none of these is removed. After a reboot bitmaps may claim what the disk
 * never got (nothing but descriptors and finished drafts is synced): then all of it is suspect.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import {
  Bitfield,
  bundleIdOf,
  type Descriptor,
  type DescriptorLimits,
  parseDescriptor,
} from '../bundle/index.ts'
import { errorCode } from '../errors.ts'
import type { BlobId, BundleId } from '../ids.ts'
import type { Logger } from '../log/types.ts'
import { readBitmap } from './bitmap-file.ts'
import type { BlobFileInit } from './blob-file.ts'
import { descriptorSuffix, removeFiles, type StoreFiles, writeWhole } from './disk.ts'
import { readNames } from './draft-names.ts'

export type FoundBundle = Readonly<{
  id: BundleId
  descriptor: Descriptor
  descriptorBytes: Uint8Array
}>

export type Found = Readonly<{
  /** The least recently used first. */
  bundles: readonly FoundBundle[]
  /** Blobs that no descriptor lists. */
  drafts: readonly BlobFileInit[]
}>

export type RecoveryComponents = Readonly<{ files: StoreFiles; logger: Logger }>

/** Reads the folder and removes what is of no use. Chunks themselves are not read. */
export async function recover(
  limits: DescriptorLimits,
  { files, logger }: RecoveryComponents,
): Promise<Found> {
  const bundles = await findBundles(limits, { files, logger })
  const listed = new Set(bundles.flatMap(({ descriptor }) => descriptor.blobs.map(({ id }) => id)))
  const names = await readdir(files.blobsFolder)
  const drafts: BlobFileInit[] = []
  for (const id of new Set(names.map(blobIdOfFile).filter((each) => each !== undefined))) {
    if (listed.has(id)) continue
    const draft = await findDraft(id, files)
    if (draft) drafts.push(draft)
    else await removeFiles(files.chunks(id), files.held(id), files.names(id))
  }
  // Names outlive their draft only when the process died between the descriptor and their removal.
  for (const id of listed) await removeFiles(files.names(id))
  await removeTemporary(files.blobsFolder, names)
  return { bundles, drafts }
}

async function findBundles(
  limits: DescriptorLimits,
  { files, logger }: RecoveryComponents,
): Promise<FoundBundle[]> {
  const names = await readdir(files.descriptorsFolder)
  await removeTemporary(files.descriptorsFolder, names)
  const found: { readonly bundle: FoundBundle; readonly usedMs: number }[] = []
  for (const name of names.filter((each) => each.endsWith(descriptorSuffix))) {
    const path = join(files.descriptorsFolder, name)
    const descriptorBytes = await readFile(path)
    const id = bundleIdOf(descriptorBytes)
    try {
      if (id + descriptorSuffix !== name) throw new Error(`its bytes hash to ${id}`)
      const descriptor = parseDescriptor(descriptorBytes, limits)
      const { mtimeMs } = await stat(path)
      found.push({ bundle: { id, descriptor, descriptorBytes }, usedMs: mtimeMs })
    } catch (error) {
      logger.warn({ file: name, err: error }, 'a damaged descriptor was removed')
      await removeFiles(path)
    }
  }
  return found.sort((a, b) => a.usedMs - b.usedMs).map(({ bundle }) => bundle)
}

/** A draft is a prefix: chunks whose names are known and whose bits are set, up to the first hole. */
async function findDraft(id: BlobId, files: StoreFiles): Promise<BlobFileInit | undefined> {
  const found = await readNames(files.names(id))
  if (!found) return undefined
  const bits = await readBitmap(files.held(id), found.cut.chunkCount)
  const held = new Bitfield(found.cut.chunkCount)
  const heldCount = Math.min(found.knownCount, bits.firstMissing())
  for (let index = 0; index < heldCount; index += 1) held.set(index)
  return { id, cut: found.cut, names: found.names, held }
}

function blobIdOfFile(name: string): BlobId | undefined {
  const match = /^([0-9a-f]{64})\.(chunks|held|names)$/.exec(name)
  return match?.[1] as BlobId | undefined
}

async function removeTemporary(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) if (name.endsWith('.tmp')) await removeFiles(join(folder, name))
}

const validState = Compile(Type.Object({ version: Type.Literal(1), bootId: Type.String() }))

/** The boot in which all that is held was written or verified; undefined for a new folder. */
export async function readVerifiedBoot(files: StoreFiles): Promise<string | undefined> {
  try {
    const state: unknown = JSON.parse(await readFile(files.state, 'utf8'))
    return validState.Check(state) ? state.bootId : undefined
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Says that all that is held was written or verified in this boot. */
export async function writeVerifiedBoot(files: StoreFiles, bootId: string): Promise<void> {
  await writeWhole(files.state, `${JSON.stringify({ version: 1, bootId })}\n`)
}
