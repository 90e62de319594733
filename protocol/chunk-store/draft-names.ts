/**
 * The names of a draft on disk: a header that says what blob it is, then 32 bytes a chunk, each
 * written before its chunk's bit is set. Once a descriptor lists the blob, it has the names.
 */
import { readFile } from 'node:fs/promises'
import { type BlobCut, chunkNameBytes, cutFor, maxDescriptorBytes } from '../bundle/index.ts'
import { errorCode } from '../errors.ts'
import { writeWhole } from './disk.ts'

const magic = 'potluck1'
/** Magic (8 bytes), then the blob's length (u64 BE). */
export const namesHeaderBytes = 16

/** Begins the file of a draft, with the names known so far. */
export async function writeNames(path: string, sizeBytes: number, names: Uint8Array) {
  const header = Buffer.alloc(namesHeaderBytes)
  header.write(magic, 'latin1')
  header.writeBigUInt64BE(BigInt(sizeBytes), 8)
  await writeWhole(path, Buffer.concat([header, names]))
}

/** What a draft's file says; undefined where it is none, or damaged. */
export async function readNames(
  path: string,
): Promise<
  { readonly cut: BlobCut; readonly names: Buffer; readonly knownCount: number } | undefined
> {
  const bytes = await readFile(path).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return Buffer.alloc(0)
    throw error
  })
  if (bytes.length < namesHeaderBytes || bytes.toString('latin1', 0, 8) !== magic) return undefined
  const sizeBytes = Number(bytes.readBigUInt64BE(8))
  if (!Number.isSafeInteger(sizeBytes)) return undefined
  const cut = cutFor(sizeBytes)
  const namesBytes = cut.chunkCount * chunkNameBytes
  const known = bytes.subarray(namesHeaderBytes)
  // Lengths are ours, yet a damaged header must not make us reserve gigabytes of names.
  if (known.length > namesBytes || namesBytes > maxNamesBytes) return undefined
  const names = Buffer.alloc(namesBytes)
  known.copy(names)
  return { cut, names, knownCount: Math.floor(known.length / chunkNameBytes) }
}

/** As many as a descriptor can hold. */
const maxNamesBytes = maxDescriptorBytes
