/** The node's watch over its leases, wired to its mesh: whom it may ask when a lease has lapsed. */
import type { Clock } from '../../protocol/clock.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { createNetworkOf } from '../../protocol/network/index.ts'
import type { PeerHint } from '../../protocol/orders/index.ts'
import type { Peer } from '../../protocol/peer/index.ts'
import type { KnownWorld } from '../guard/index.ts'
import { createLeaseWatch, type LeaseWatch } from '../leases/index.ts'

export type LeaseWatchParts = Readonly<{
  peer: Peer
  /** Peers that orders and the coordinator named. */
  hints: () => readonly PeerHint[]
  clock: Clock
  random: () => number
  logger: Logger
}>

/** @param world what the daemon before this one knew; the coordinator's time is taken from it */
export function startLeaseWatch(
  world: KnownWorld,
  { peer, hints, clock, random, logger }: LeaseWatchParts,
): LeaseWatch {
  const { offsetMs, otherHouseholds } = world
  if (offsetMs !== undefined) peer.time.take(clock.nowMs() + offsetMs, clock.nowMs())
  const { mesh, pulses, time, keeper, lists, network } = peer
  const watch = createLeaseWatch({
    ...{ mesh, pulses, time, clock, random, logger },
    networkOf: createNetworkOf(network.householdPerAddress),
    coordinator: () => keeper.coordinator,
    known: () =>
      [...hints(), ...lists.members('cache'), ...lists.members('relay')].map(
        ({ peer: id, addrs }) => ({ peer: id, addresses: addrs }),
      ),
  })
  watch.learn({ otherHouseholds })
  return watch
}
