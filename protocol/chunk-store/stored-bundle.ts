/**
 * A bundle as its users see it: one numbering and one bitfield over blobs that other bundles may
 * share. It forwards what happens to its blobs, and ends every wait when it is removed.
 */
import type { Uint8ArrayList } from 'uint8arraylist'
import {
  Bitfield,
  type BundleLayout,
  createLayout,
  type Descriptor,
  type Run,
} from '../bundle/index.ts'
import type { BundleId } from '../ids.ts'
import type { BlobFile, BlobListener, WriteOutcome } from './blob-file.ts'
import { BlobRemovedError, BundleRemovedError, WrongChunkError } from './errors.ts'
import { createListeners } from './listeners.ts'
import type { StoredBundle } from './types.ts'

export type StoredBundleInit = Readonly<{
  id: BundleId
  descriptor: Descriptor
  descriptorBytes: Uint8Array
  /** In the descriptor's order. */
  blobs: readonly BlobFile[]
}>

export type StoredBundleComponents = Readonly<{
  /** Verifies and writes a chunk under the budget. */
  write(blob: BlobFile, index: number, bytes: Uint8Array | Uint8ArrayList): Promise<WriteOutcome>
  /** Marks the bundle as just used. */
  touch(id: BundleId): void
}>

/** What the store alone may do with a bundle. */
export interface OwnedBundle extends StoredBundle {
  readonly blobs: readonly BlobFile[]
  /** Ends its use: waits end with `reason`, and nothing is heard of its blobs any more. */
  end(reason: Error): void
}

/** A bundle over its blobs: one numbering of chunks over all of them. */
export function createStoredBundle(
  { id, descriptor, descriptorBytes, blobs }: StoredBundleInit,
  { write, touch }: StoredBundleComponents,
): OwnedBundle {
  const layout = createLayout(descriptor)
  const held = new Bitfield(layout.chunkCount)
  const heldListeners = createListeners<number>()
  const lostListeners = createListeners<number>()
  const waits = createWaits()
  let ended: Error | undefined

  const forwards = blobs.map((blob, blobIndex) => {
    const first = layout.firstChunkOf(blobIndex)
    for (const run of blob.held.runs()) {
      for (let at = 0; at < run.count; at += 1) held.set(first + run.start + at)
    }
    const listener: BlobListener = {
      held(index) {
        held.set(first + index)
        waits.resolve(first + index)
        heldListeners.tell(first + index)
      },
      lost(index) {
        held.set(first + index, false)
        lostListeners.tell(first + index)
      },
    }
    blob.listeners.add(listener)
    return { blob, listener }
  })
  /** Runs `work`, and says that the bundle was removed where that is why it failed. */
  const alive = async <T>(work: () => Promise<T>): Promise<T> => {
    if (ended) throw ended
    try {
      return await work()
    } catch (error) {
      throw error instanceof BlobRemovedError ? (ended ?? new BundleRemovedError(id)) : error
    }
  }
  const readRun: StoredBundle['readRun'] = (run, { signal } = {}) =>
    alive(async () => {
      signal?.throwIfAborted()
      touch(id)
      const parts = await Promise.all(
        splitByBlob(layout, run).map(({ blobIndex, ...part }) =>
          blobAt(blobs, blobIndex).read(part),
        ),
      )
      return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts)
    })
  return {
    id,
    descriptor,
    descriptorBytes,
    layout,
    held,
    blobs,
    get complete() {
      return held.full
    },
    put: (chunk, bytes) =>
      alive(async () => {
        touch(id)
        if (held.has(chunk)) return 'held'
        const { blobIndex, index, travelBytes } = layout.locate(chunk)
        if (bytes.length !== travelBytes) {
          throw new WrongChunkError(chunk, `${bytes.length} bytes instead of ${travelBytes}`)
        }
        const outcome = await write(blobAt(blobs, blobIndex), index, bytes)
        if (outcome === 'wrong') throw new WrongChunkError(chunk, 'another SHA-256')
        return outcome
      }),
    read: (chunk, options) => readRun({ start: chunk, count: 1 }, options),
    readRun,
    onHeld: (listener) => heldListeners.listen(listener),
    onLost: (listener) => lostListeners.listen(listener),
    whenHeld: (chunk, { signal }) =>
      alive(async () => {
        signal.throwIfAborted()
        if (!held.has(chunk)) await waits.wait(chunk, signal)
      }),
    end(reason) {
      ended ??= reason
      for (const { blob, listener } of forwards) blob.listeners.delete(listener)
      waits.rejectAll(reason)
      heldListeners.clear()
      lostListeners.clear()
    },
  }
}

/** A run of the bundle's chunks as runs of its blobs' chunks. */
function splitByBlob(layout: BundleLayout, { start, count }: Run): (Run & { blobIndex: number })[] {
  const parts: (Run & { blobIndex: number })[] = []
  for (let chunk = start; chunk < start + count; ) {
    const { blobIndex, index, blob } = layout.locate(chunk)
    const inBlob = Math.min(blob.chunkCount - index, start + count - chunk)
    parts.push({ blobIndex, start: index, count: inBlob })
    chunk += inBlob
  }
  return parts
}

function blobAt(blobs: readonly BlobFile[], blobIndex: number): BlobFile {
  const blob = blobs[blobIndex]
  if (!blob) throw new RangeError(`no blob ${blobIndex}`)
  return blob
}

/** Those who wait for a chunk. */
function createWaits() {
  const waiting = new Map<number, Set<PromiseWithResolvers<void>>>()
  return {
    async wait(chunk: number, signal: AbortSignal): Promise<void> {
      const waiter = Promise.withResolvers<void>()
      const waiters = waiting.get(chunk) ?? new Set()
      waiting.set(chunk, waiters.add(waiter))
      const stop = (): void => waiter.reject(signal.reason)
      signal.addEventListener('abort', stop, { once: true })
      try {
        await waiter.promise
      } finally {
        signal.removeEventListener('abort', stop)
        waiters.delete(waiter)
        if (waiters.size === 0 && waiting.get(chunk) === waiters) waiting.delete(chunk)
      }
    },
    resolve(chunk: number): void {
      for (const waiter of waiting.get(chunk) ?? []) waiter.resolve()
    },
    rejectAll(reason: Error): void {
      for (const waiters of waiting.values()) for (const waiter of waiters) waiter.reject(reason)
    },
  }
}
