/**
 * Lets V8's heap grow while bundles are on their way here. Chunks pass through buffers that live for
 * milliseconds, but V8 counts their bytes with the old objects of its heap, of which it lets half as
 * many be added before it marks all of them again: 40 MB, 300 ms of CPU, each second of a download.
 * Given room, looks at young objects alone free the buffers first. Afterwards it is tidied up once,
 * so that an idle home keeps none of it.
 * Measured: the marking threads of twelve homes took 20 s of CPU for a 64 MB image, and 13 with room.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** In percent of what a look at everything left. */
const roomPercent = 400
/** The next transfer may follow at once. */
const tidyMs = 5_000

/** One for the process, as its heap is. */
const state: { transfers: number; tidying: NodeJS.Timeout | undefined } = {
  transfers: 0,
  tidying: undefined,
}

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
    state.tidying = setTimeout(collectAll, tidyMs).unref()
  }
}

/** V8 keeps the limit that it set until it collects again. */
function collectAll(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  setFlagsFromString('--no-expose-gc')
  collect()
}
