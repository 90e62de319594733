/**
 * What one blob's files take on disk, kept up as they grow. A chunk that is dropped (it rotted)
 * leaves its blocks in the file, so they stay counted until the file goes.
 */
import { Bitfield, type BlobCut, type ReadonlyBitfield } from '../bundle/index.ts'
import { blobBaseDiskBytes, chunkDiskBytes, namesDiskBytes } from './disk-size.ts'

export interface DiskAccount {
  readonly bytes: number
  /** The most that writing chunk `index` can add. */
  costOf(index: number): number
  /** Chunk `index` is being written: its blocks count from now on. */
  written(index: number): void
  /** Whether the blob has a file of names: as a draft it does. */
  setDraft(isDraft: boolean): void
  /** Its files are gone. */
  removed(): void
}

/** Begins with what `held` says was written before. */
export function createDiskAccount(
  { cut, held }: { readonly cut: BlobCut; readonly held: ReadonlyBitfield },
  { onBytes }: { readonly onBytes: (changeBytes: number) => void },
): DiskAccount {
  const written = new Bitfield(cut.chunkCount)
  const isWritten = (index: number): boolean =>
    index >= 0 && index < cut.chunkCount && written.has(index)
  let bytes = 0
  let isDraft = false
  const add = (changeBytes: number): void => {
    bytes += changeBytes
    if (changeBytes !== 0) onBytes(changeBytes)
  }
  const write = (index: number): number => {
    if (written.has(index)) return 0
    const costBytes = chunkDiskBytes(cut, index, isWritten)
    written.set(index)
    return costBytes
  }
  let foundBytes = blobBaseDiskBytes(cut)
  for (const { start, count } of held.runs()) {
    for (let index = start; index < start + count; index += 1) foundBytes += write(index)
  }
  add(foundBytes)
  return {
    get bytes() {
      return bytes
    },
    costOf: (index) => (written.has(index) ? 0 : chunkDiskBytes(cut, index, isWritten)),
    written: (index) => add(write(index)),
    setDraft(next) {
      if (next !== isDraft) add(next ? namesDiskBytes(cut) : -namesDiskBytes(cut))
      isDraft = next
    },
    removed() {
      add(-bytes)
    },
  }
}
