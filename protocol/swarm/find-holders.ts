/** Asks the DHT for more holders of what is being downloaded, while too few are joined. */
import type { Clock } from '../clock.ts'
import type { Logger } from '../log/index.ts'
import type { HolderIndex } from './dht.ts'
import type { BundleDownload } from './download.ts'

const holdersWanted = 8
/** Hints come first: the order names holders, and a look-up costs dozens of messages. */
const firstMs = 1_000
/** Where some have answered, others may still be on their way: a swarm's first seconds are busy. */
const patientMs = 6_000
const everyMs = 30_000
const lookUpMs = 20_000

/** Resolves when the download ends or `signal` aborts. */
export async function findHolders(
  download: BundleDownload,
  {
    holders,
    clock,
    logger,
    signal,
  }: Readonly<{
    holders: HolderIndex
    clock: Clock
    logger: Logger
    signal: AbortSignal
  }>,
): Promise<void> {
  const ended = AbortSignal.any([signal, download.ended])
  const startMs = clock.nowMs()
  let waitMs = firstMs
  for (;;) {
    await clock.sleep(waitMs, { signal: ended }).catch(() => undefined)
    if (ended.aborted) return
    const leftMs = startMs + patientMs - clock.nowMs()
    waitMs = leftMs > 0 && download.joinedCount > 0 ? leftMs : everyMs
    if (waitMs === leftMs) continue
    if (download.joinedCount >= holdersWanted) continue
    try {
      const until = AbortSignal.any([ended, AbortSignal.timeout(lookUpMs)])
      for await (const hint of holders.find(download.bundle, { signal: until })) {
        download.addHints([hint])
      }
    } catch (error) {
      logger.debug({ bundle: download.bundle, error }, 'the DHT named no more holders')
    }
  }
}
