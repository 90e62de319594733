/** The node's swarm on its chef's line: started together, because neither is true without the other. */
import type { BundleStore } from '../../protocol/chunk-store/index.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { MisbehaviourLog, Peer } from '../../protocol/peer/index.ts'
import { createSwarm, type Swarm } from '../../protocol/swarm/index.ts'
import { serveLimits } from '../bandwidth/index.ts'
import type { NodeLine } from './line.ts'

/** Serves, within the limits, until what it returned is stopped; limits can be changed from then on. */
export async function startNodeSwarm(
  { dataDir, signal }: { readonly dataDir: string; readonly signal: AbortSignal },
  components: Readonly<{
    peer: Peer
    chunks: BundleStore
    line: NodeLine
    misbehaviour: MisbehaviourLog
    logger: Logger
  }>,
): Promise<Swarm> {
  const { peer, chunks, line, misbehaviour, logger } = components
  const swarm = createSwarm(
    { limits: line.limits() },
    {
      ...{ mesh: peer.mesh, store: chunks, holders: peer.holders, logger },
      ...{ verifyTicket: peer.verifyTicket, timeMs: peer.time.nowMs },
      onMisbehaviour: misbehaviour.note,
      linkRates: line.linkRates,
      isCache: peer.lists.isCache,
    },
  )
  await swarm.start()
  line.start(swarm, signal)
  const unserve = await serveLimits(dataDir, { bandwidth: line, logger })
  return {
    ...swarm,
    async stop() {
      await unserve()
      await swarm.stop()
    },
  }
}
