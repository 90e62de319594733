/**
 * How far the ingests are, told four times a second at most and only when it changed. One timer for
 * all of them, and a bound on each round: a hundred ingests must not fill the control stream.
 */
import type { UpMessage } from '../../protocol/control/index.ts'
import type { IngestProgress } from '../ingest/index.ts'

export const reportEveryMs = 250
/** The stream takes 256 unwritten messages before it counts as stuck. */
const reportsPerRound = 64

export interface ProgressReports {
  /** Follows an ingest until the function it returns is called. */
  follow(id: string, progress: () => IngestProgress): () => void
  stop(): void
}

export function createProgressReports(
  { everyMs = reportEveryMs }: { readonly everyMs?: number },
  { send }: { readonly send: (message: UpMessage) => boolean },
): ProgressReports {
  type Entry = { readonly id: string; readonly progress: () => IngestProgress; toldBytes: number }
  const entries = new Set<Entry>()
  let timer: NodeJS.Timeout | undefined

  const tell = (): void => {
    let told = 0
    for (const entry of [...entries]) {
      if (told === reportsPerRound) return
      const { bytesDone, bytesTotal } = entry.progress()
      if (bytesDone === entry.toldBytes) continue
      if (!send({ type: 'ingest-progress', id: entry.id, bytesDone, bytesTotal })) return
      told += 1
      entry.toldBytes = bytesDone
      // Those that were told go to the end, so that each has its turn.
      if (entries.delete(entry)) entries.add(entry)
    }
  }
  const stop = (): void => {
    clearInterval(timer)
    timer = undefined
  }
  return {
    follow(id, progress) {
      const entry: Entry = { id, progress, toldBytes: 0 }
      entries.add(entry)
      timer ??= setInterval(tell, everyMs)
      return () => {
        entries.delete(entry)
        if (entries.size === 0) stop()
      }
    },
    stop,
  }
}
