/**
 * Frees the buffers of what was just streamed. V8 looks at its own small heap to decide when to
 * collect; 64 KiB socket buffers and chunks lie outside of it, so hundreds of megabytes of them
 * pile up between two collections of a fast pull. A minor collection takes a millisecond or two.
 * Measured, the whole process, 3 GB in three layers at once: a peak of 228 MB with it, 359 without.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

type MinorCollection = (options: { readonly type: 'minor' }) => void

/** Collects young garbage each time so many bytes have streamed by. */
export function createYoungCollector({ everyBytes = 8 << 20 } = {}): (bytes: number) => void {
  const collect = minorCollection()
  let sinceBytes = 0
  return (bytes) => {
    sinceBytes += bytes
    if (sinceBytes < everyBytes) return
    sinceBytes = 0
    collect({ type: 'minor' })
  }
}

/** V8 shows `gc` to contexts that are made after it was told to, and to no other code. */
function minorCollection(): MinorCollection {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  setFlagsFromString('--no-expose-gc')
  return typeof collect === 'function' ? (collect as MinorCollection) : () => undefined
}
