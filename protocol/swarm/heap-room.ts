/**
 * How V8 keeps its heap while bundles are on their way here. Chunks pass through buffers that live for
 * milliseconds outside of that heap. V8 lets go of them when it looks at its young objects, for which
 * they are too few to make it do so often; but it counts their bytes with its old objects, and when
 * half as many have come it marks all of these: 40 MB, 300 ms of CPU, each second of a download.
 * So young objects are looked at when so many bytes have come, which takes a millisecond or two, and
 * the rest is given room. Afterwards it is tidied up once, so that an idle home keeps none of it.
 * Measured: one pair on loopback 217 MB/s at 7.3 CPU-s a GB, 165 at 10.2 without the looks; twelve homes' marking
 * threads took 20 s of CPU for a 64 MB image, 13 with room.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** In percent of what a look at everything left. */
const roomPercent = 400
/** Each byte of a chunk is in three or four buffers on its way. */
const lookBytes = 4 << 20
/** The next transfer may follow at once. */
const tidyMs = 5_000

type Collect = (options?: { readonly type: 'minor' }) => void

/** One for the process, as its heap is. */
const state: {
  transfers: number
  cameBytes: number
  tidying: NodeJS.Timeout | undefined
  collect: Collect | undefined
} = { transfers: 0, cameBytes: 0, tidying: undefined, collect: undefined }

/** A transfer begins. Returns what to call, once, when it is over. */
export function makeHeapRoom(): () => void {
  state.transfers += 1
  if (state.transfers === 1) {
    clearTimeout(state.tidying)
    setFlagsFromString(`--heap-growing-percent=${roomPercent}`)
  }
  return () => {
    state.transfers -= 1
    if (state.transfers > 0) return
    setFlagsFromString('--heap-growing-percent=0')
    // V8 keeps the limit that it set until it collects again.
    state.tidying = setTimeout(() => collector()(), tidyMs).unref()
  }
}

/** So many bytes of chunks have come. */
export function chunksCame(bytes: number): void {
  state.cameBytes += bytes
  if (state.cameBytes < lookBytes) return
  state.cameBytes = 0
  collector()({ type: 'minor' })
}

/** The flag is taken back at once: nothing else finds a `gc` in its global scope. */
function collector(): Collect {
  if (!state.collect) {
    setFlagsFromString('--expose-gc')
    state.collect = runInNewContext('gc') as Collect
    setFlagsFromString('--no-expose-gc')
  }
  return state.collect
}
