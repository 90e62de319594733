/**
 * What a store's files take on disk. A chef's budget is about the disk, not about payload: a chunk
 * that stands alone in a sparse file takes a block more than its bytes, and a bitmap of 8 bytes
 * takes a whole one. Without this a store of many small blobs passes its budget unseen. Pure.
 */
import { type BlobCut, chunkNameBytes, tagBytes, travelBytesOf } from '../bundle/index.ts'
import { namesHeaderBytes } from './draft-names.ts'

/** As ext4, XFS and NTFS have it by default. */
const blockBytes = 4_096
/** A name in a folder, with the longest names that the store gives. */
const entryBytes = 128
/** The store's three folders and the file that names the boot. */
export const folderDiskBytes = 4 * blockBytes

/** A file of `sizeBytes` without holes, and its name. */
export function fileDiskBytes(sizeBytes: number): number {
  return entryBytes + Math.ceil(sizeBytes / blockBytes) * blockBytes
}

/** A blob's files before a chunk is in them: their names, and the bits. */
export function blobBaseDiskBytes({ chunkCount }: BlobCut): number {
  return fileDiskBytes(0) + fileDiskBytes(Math.ceil(chunkCount / 8))
}

/** The names of a draft, all of them. */
export function namesDiskBytes({ chunkCount }: BlobCut): number {
  return fileDiskBytes(namesHeaderBytes + chunkCount * chunkNameBytes)
}

/**
 * What chunk `index` adds to its file: the blocks that it touches, less those that a neighbour has
 * taken already.
 * @param isWritten whether a neighbour (from −1 to the count) was ever written
 */
export function chunkDiskBytes(
  cut: BlobCut,
  index: number,
  isWritten: (index: number) => boolean = () => false,
): number {
  const start = index * (cut.chunkSizeBytes + tagBytes)
  const end = start + travelBytesOf(cut, index)
  let first = Math.floor(start / blockBytes)
  let last = Math.ceil(end / blockBytes)
  if (start % blockBytes > 0 && isWritten(index - 1)) first += 1
  if (end % blockBytes > 0 && isWritten(index + 1)) last -= 1
  return Math.max(0, last - first) * blockBytes
}

/** The most that the chunks of a blob can take, with its other files. */
export function blobDiskBytes(cut: BlobCut): number {
  const fileBytes = (cut.chunkCount - 1) * tagBytes + cut.sizeBytes + tagBytes
  return blobBaseDiskBytes(cut) + Math.ceil(fileBytes / blockBytes) * blockBytes
}
