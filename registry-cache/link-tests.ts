/**
 * The lines of nodes, as this cache measured them: told to the coordinator at once, and all of them
 * again on a new stream, because a coordinator that restarted has forgotten them.
 */
import { LRUCache } from 'lru-cache'
import type { Clock } from '../protocol/clock.ts'
import type { Link, UpMessage } from '../protocol/control/index.ts'
import type { PeerId } from '../protocol/ids.ts'
import { createLinkTests, type LinkTests } from '../protocol/link-test/index.ts'
import type { Logger } from '../protocol/log/index.ts'
import type { Peer } from '../protocol/peer/index.ts'
import type { SwarmReport } from '../protocol/swarm/index.ts'

/** As many as a message holds. */
const resultsMax = 256
const peersMax = 10_000
/** What was served since the last look; a test beside more would measure what is left of the line. */
const busyBytesPerS = 250_000

/** What is needed of a swarm. */
type Served = Readonly<{ stats: () => Pick<SwarmReport, 'uploadedBytes'> }>

export interface LinkDesk extends LinkTests {
  /** All that is known, for a stream that has just opened. */
  messages(): UpMessage[]
}

/** @param onMeasured called with each result as a message; there may be no stream for it. */
export function createLinkDesk(components: {
  readonly peer: Pick<Peer, 'mesh' | 'memberSecret'>
  readonly swarm: Served
  readonly clock: Clock
  readonly onMeasured: (message: UpMessage) => void
  readonly logger: Logger
}): LinkDesk {
  const { peer, swarm, clock, onMeasured, logger } = components
  const links = new LRUCache<PeerId, Link>({ max: peersMax })
  const isBusy = createBusyness(swarm, clock)
  const tests = createLinkTests({
    ...{ mesh: peer.mesh, clock, secret: peer.memberSecret, isBusy, logger },
    onMeasured(by, rate) {
      const link = { ...rate, measuredMs: Date.now() }
      links.set(by, link)
      onMeasured({ type: 'link-tests', results: [{ peer: by, link }] })
    },
  })
  return {
    ...tests,
    messages() {
      const all = [...links.entries()].map(([by, link]) => ({ peer: by, link }))
      const count = Math.ceil(all.length / resultsMax)
      return Array.from({ length: count }, (_, index) => ({
        type: 'link-tests' as const,
        results: all.slice(index * resultsMax, (index + 1) * resultsMax),
      }))
    },
  }
}

/** Whether more than a little was served since the last time it was asked, at most a while ago. */
function createBusyness(swarm: Served, clock: Clock): () => boolean {
  let last = { bytes: swarm.stats().uploadedBytes, atMs: clock.nowMs() }
  return () => {
    const now = { bytes: swarm.stats().uploadedBytes, atMs: clock.nowMs() }
    const seconds = Math.max(1, (now.atMs - last.atMs) / 1_000)
    const bytesPerS = (now.bytes - last.bytes) / seconds
    last = now
    return bytesPerS > busyBytesPerS
  }
}
