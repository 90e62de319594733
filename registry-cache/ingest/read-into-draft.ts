/**
 * One blob from its registry into a draft: goes on where the draft ends, seals as it streams, and
 * says whose fault it was when it fails.
 */
import { pipe } from 'it-pipe'
import {
  blobIdFor,
  chunkSizeFor,
  cutFor,
  encryptBlob,
  openChunk,
  resumeFrom,
} from '../../protocol/bundle/index.ts'
import type { BlobDraft } from '../../protocol/chunk-store/index.ts'
import { errorCode } from '../../protocol/errors.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { Credentials, ImageSource, ResolvedBlob } from '../oci/index.ts'
import { RegistryTooSlowError, WrongBlobError } from './errors.ts'
import { withMinimumProgress } from './minimum-progress.ts'

export type ReadIntoDraft = Readonly<{
  blob: ResolvedBlob & { readonly key: Uint8Array }
  draft: BlobDraft
  repository: string
  credentials: Credentials | undefined
  /** See `withMinimumProgress`. */
  minBytes: () => number
  windowMs: number
  signal: AbortSignal
}>

export type ReadEvents = Readonly<{
  /** Plaintext bytes that are held now. */
  onHeld(bytes: number): void
  /** Bytes that just came from the registry. */
  onRead(bytes: number): void
}>

/**
 * Resolves when the draft has every chunk of a blob whose digest was found right.
 * @throws {WrongBlobError} the registry's bytes are others: discard the draft.
 * @throws {ImageSourceError} @throws {RegistryTooSlowError} the draft keeps what came.
 */
export async function readIntoDraft(
  read: ReadIntoDraft,
  { source, logger }: { readonly source: ImageSource; readonly logger: Logger },
  { onHeld, onRead }: ReadEvents,
): Promise<void> {
  const { blob, draft, repository, credentials, minBytes, windowMs, signal } = read
  if (draft.heldCount < draft.chunkCount) {
    const { heldCount } = draft
    const resume = await resumeFrom(blob, { heldCount, read: (index) => draft.read(index) })
    const fromByte = resume.fromChunk * draft.chunkSizeBytes
    if (fromByte > 0) logger.info({ digest: blob.digest, fromByte }, 'going on with a blob')
    onHeld(fromByte)
    const bytes = withMinimumProgress(
      (both) => source.readBlob(repository, blob, credentials, { fromByte, signal: both }),
      {
        minBytes,
        windowMs,
        signal,
        tooSlow: () => new RegistryTooSlowError(repository, minBytes(), windowMs),
      },
    )
    try {
      await pipe(
        bytes,
        (plaintext) => counted(plaintext, onRead),
        (plaintext) => encryptBlob(plaintext, { ...blob, resume }),
        async (chunks) => {
          for await (const chunk of chunks) {
            signal.throwIfAborted()
            await draft.append(chunk.index, chunk.bytes, chunk.name)
            onHeld(Math.min(blob.sizeBytes, (chunk.index + 1) * draft.chunkSizeBytes))
          }
        },
      )
    } catch (cause) {
      if (!isWrongBytes(cause)) throw cause
      throw new WrongBlobError(repository, blob.digest, { cause })
    }
  }
  onHeld(blob.sizeBytes)
}

/** The plaintext of a blob that is held whole; for a config, which is small. */
export async function openWhole(
  { key, digest, sizeBytes }: ReadIntoDraft['blob'],
  draft: Pick<BlobDraft, 'read'>,
): Promise<Uint8Array> {
  const { chunkCount: count } = cutFor(sizeBytes)
  const blob = blobIdFor(key, digest, chunkSizeFor(sizeBytes))
  const pieces: Uint8Array[] = []
  for (let index = 0; index < count; index += 1) {
    pieces.push(openChunk(key, { blob, index, count }, await draft.read(index)))
  }
  return Buffer.concat(pieces)
}

/** Another length, or another hash, than the manifest says. */
function isWrongBytes(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'DIGEST_MISMATCH' || code === 'SIZE_MISMATCH'
}

async function* counted(
  source: AsyncIterable<Uint8Array>,
  onRead: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void> {
  for await (const piece of source) {
    onRead(piece.length)
    yield piece
  }
}
