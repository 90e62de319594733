/**
 * A blob while ingest writes it. Its names come with its chunks and are persisted first, so that
 * after a kill -9 the held prefix and its names are both there. Over a blob that a bundle lists
 * already (one of its chunks rotted), the same draft fills the holes.
 */
import assert from 'node:assert/strict'
import { chunkNameBytes } from '../bundle/index.ts'
import type { BlobFile, WriteOutcome } from './blob-file.ts'
import { DraftClosedError, DraftIncompleteError, WrongChunkError } from './errors.ts'
import type { BlobDraft } from './types.ts'

export type BlobDraftComponents = Readonly<{
  write(blob: BlobFile, index: number, bytes: Uint8Array): Promise<WriteOutcome>
  /** Called once, when the draft is closed by whatever way. */
  onClosed(): void
  /** Forgets the blob, unless a bundle lists it. */
  removeBlob(): Promise<void>
}>

/** What the store alone may do with a draft. */
export interface OwnedDraft extends BlobDraft {
  /** Whether `finish` was called: a bundle that lists it then takes it over. */
  readonly finished: boolean
  close(): void
}

/** A draft over `blob`, open until released, discarded or taken into a bundle. */
export function createBlobDraft(
  { blob }: { readonly blob: BlobFile },
  { write, onClosed, removeBlob }: BlobDraftComponents,
): OwnedDraft {
  let open = true
  let finished = false
  const close = (): void => {
    if (!open) return
    open = false
    onClosed()
  }
  const refuseClosed = (): void => {
    if (!open) throw new DraftClosedError(blob.id)
  }
  const heldCount = (): number => blob.held.firstMissing()
  return {
    ...blob.cut,
    id: blob.id,
    get heldCount() {
      return heldCount()
    },
    get finished() {
      return finished
    },
    async append(index, bytes, name) {
      refuseClosed()
      assert(name.length === chunkNameBytes, 'a chunk name has 32 bytes')
      if (index < heldCount()) return
      const isListed = blob.listedBy.size > 0
      if (isListed) {
        if (!blob.nameOf(index).equals(name)) throw new WrongChunkError(index, 'another name')
      } else {
        assert(index === heldCount(), `chunk ${index} was appended after ${heldCount() - 1}`)
        blob.nameOf(index).set(name)
        await blob.writeName(index)
      }
      await write(blob, index, bytes)
    },
    async read(index) {
      refuseClosed()
      return await blob.read({ start: index, count: 1 })
    },
    async finish() {
      refuseClosed()
      if (!blob.held.full) throw new DraftIncompleteError(blob.id, heldCount(), blob.cut.chunkCount)
      await blob.sync()
      finished = true
      return { ...blob.cut, id: blob.id, names: Uint8Array.from(blob.names) }
    },
    async release() {
      close()
    },
    async discard() {
      if (!open) return
      close()
      await removeBlob()
    },
    close,
  }
}
