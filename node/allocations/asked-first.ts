/**
 * What the engine asks for out of the order in which the swarm fetches. It fetches layers from the
 * bottom, as engines do; but an engine that has the lower layers (of an older version) waits for an
 * upper one at once. Only then are its chunks preferred: for what comes next anyway, preference
 * would make all homes ask their seed for the same chunk.
 */
import type { ChunkSource } from '../../protocol/bundle/index.ts'
import type { Clock } from '../../protocol/clock.ts'

/** An engine opens several layers within moments of each other, in any order. */
const stallMs = 1_000
/** A layer that was asked for so lately is still being read. */
const recentMs = 5_000
/** Preferred at once: enough to keep several senders busy. */
const aheadChunks = 16

export type AskedFirstComponents = Readonly<{
  /** Has the swarm fetch a chunk before others. */
  prefer: (chunk: number) => void
  clock: Clock
}>

/** The same chunks, read in whatever order; see the head of this file. */
export function askedFirst(
  source: ChunkSource,
  { prefer, clock }: AskedFirstComponents,
): ChunkSource {
  const { layout, held } = source
  const waits = new Map<number, number>()
  const askedMs = new Map<number, number>()
  /** Blobs that are read while lower ones, which are not here, are not. */
  const ahead = new Set<number>()

  const isRead = (blobIndex: number): boolean =>
    (waits.get(blobIndex) ?? 0) > 0 ||
    clock.nowMs() - (askedMs.get(blobIndex) ?? Number.NEGATIVE_INFINITY) < recentMs
  const isAhead = (blobIndex: number): boolean => {
    const missing = held.firstMissing()
    if (missing === layout.chunkCount) return false
    const { blobIndex: next } = layout.locate(missing)
    for (let lower = next; lower < blobIndex; lower += 1) if (isRead(lower)) return false
    return next < blobIndex
  }
  const preferFrom = (chunk: number, blobIndex: number): void => {
    const end = Math.min(chunk + aheadChunks, layout.firstChunkOf(blobIndex + 1))
    for (let at = chunk; at < end; at += 1) if (!held.has(at)) prefer(at)
  }
  const hurry = async (chunk: number, blobIndex: number, signal: AbortSignal): Promise<void> => {
    await clock.sleep(stallMs, { signal })
    if (!isAhead(blobIndex)) return
    ahead.add(blobIndex)
    preferFrom(chunk, blobIndex)
  }

  return {
    layout,
    held,
    readRun: (run, options) => source.readRun(run, options),
    async whenHeld(chunk, options) {
      const { blobIndex } = layout.locate(chunk)
      askedMs.set(blobIndex, clock.nowMs())
      if (held.has(chunk)) return await source.whenHeld(chunk, options)
      const over = new AbortController()
      waits.set(blobIndex, (waits.get(blobIndex) ?? 0) + 1)
      if (ahead.has(blobIndex)) preferFrom(chunk, blobIndex)
      else hurry(chunk, blobIndex, over.signal).catch(() => undefined) // it came
      try {
        await source.whenHeld(chunk, options)
      } finally {
        over.abort(new Error('it is here, or not wanted'))
        waits.set(blobIndex, (waits.get(blobIndex) ?? 1) - 1)
      }
    },
  }
}
