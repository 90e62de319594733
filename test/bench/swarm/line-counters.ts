/**
 * How busy each link of the street is, by the kernel's counters: an uplink that idles while homes
 * still want something is time that the schedule lost.
 */
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

export type LineCount = Readonly<{ inBytes: number; outBytes: number }>
export type LineSample = Readonly<{ atMs: number; counts: readonly LineCount[] }>

export interface LineCounters {
  /** In the order of the processes, oldest first; all at the same moments. */
  samples(): readonly LineSample[]
  stop(): Promise<void>
}

const device = 'eth0'
const everyMs = 200

/** @param pids each names the namespace that it lives in */
export function countLines(pids: () => readonly number[]): LineCounters {
  const stopped = new AbortController()
  const { signal } = stopped
  const samples: LineSample[] = []
  const count = async (): Promise<void> => {
    while (!signal.aborted) {
      const counts = await Promise.all(pids().map(countsOf))
      samples.push({ atMs: Date.now(), counts })
      await sleep(everyMs, undefined, { signal }).catch(() => undefined)
    }
  }
  const counting = count()
  return {
    samples: () => samples,
    async stop() {
      stopped.abort()
      await counting
    },
  }
}

/** Since the interface was made; frames with headers. Zeroes when the process has ended. */
async function countsOf(pid: number): Promise<LineCount> {
  const table = await readFile(`/proc/${pid}/net/dev`, 'utf8').catch(() => '')
  const line = table.split('\n').find((text) => text.trim().startsWith(`${device}:`))
  const counts = line?.split(':')[1]?.trim().split(/\s+/).map(Number) ?? []
  return { inBytes: counts[0] ?? 0, outBytes: counts[8] ?? 0 }
}

/** The share of `bitsPerS` that the line `at` sent between two moments, 0 to 1 and a bit. */
export function busyShare(
  samples: readonly LineSample[],
  { at, bitsPerS, fromMs, toMs }: Readonly<Record<'at' | 'bitsPerS' | 'fromMs' | 'toMs', number>>,
): number {
  const within = samples.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs)
  const [first, last] = [within[0], within.at(-1)]
  const bytes = (last?.counts[at]?.outBytes ?? 0) - (first?.counts[at]?.outBytes ?? 0)
  const ms = (last?.atMs ?? 0) - (first?.atMs ?? 0)
  return ms > 0 ? (8 * bytes * 1000) / ms / bitsPerS : 0
}
