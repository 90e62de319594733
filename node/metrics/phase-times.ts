/**
 * How long images spend in the engine: unpacking after the last chunk came, and from there to a
 * running container. It listens in on image fetcher and engine, which need not know of it.
 */
import type { Clock } from '../../protocol/clock.ts'
import type { ImageFetcher } from '../allocations/index.ts'
import type { Engine } from '../engine/index.ts'

export const phases = ['unpack', 'start'] as const
export type Phase = (typeof phases)[number]
/** Since the daemon's start; ended well only. */
export type PhaseSums = Readonly<Record<Phase, Readonly<{ ms: number; count: number }>>>

export interface PhaseTimes {
  sums(): PhaseSums
  /** The same fetcher, timed. */
  images(images: ImageFetcher): ImageFetcher
  /** The same engine, timed. */
  engine(engine: Engine): Engine
}

export function createPhaseTimes({ clock }: { readonly clock: Clock }): PhaseTimes {
  const sums: Record<Phase, { ms: number; count: number }> = {
    unpack: { ms: 0, count: 0 },
    start: { ms: 0, count: 0 },
  }
  const ended = (phase: Phase, sinceMs: number): void => {
    sums[phase].ms += clock.nowMs() - sinceMs
    sums[phase].count++
  }
  return {
    sums: () => structuredClone(sums),
    images: (images) => ({
      ...images,
      transfer(bundle) {
        const transfer = images.transfer(bundle)
        return {
          ...transfer,
          async pull(secrets, options) {
            let fetchedMs: number | undefined
            const reference = await transfer.pull(secrets, {
              ...options,
              onUnpacking() {
                fetchedMs = clock.nowMs()
                options.onUnpacking()
              },
            })
            if (fetchedMs !== undefined) ended('unpack', fetchedMs)
            return reference
          },
        }
      },
    }),
    engine: (engine) => ({
      ...engine,
      async run(spec, options) {
        const startedMs = clock.nowMs()
        const container = await engine.run(spec, options)
        ended('start', startedMs)
        return container
      },
    }),
  }
}
