/**
 * The chef's line, put together: limits and headroom act on the swarm, round trips are those of the
 * control connection, link tests are made with the roster's caches.
 */
import type { ConfigProblem } from '../../protocol/config/index.ts'
import { describeError } from '../../protocol/errors.ts'
import { measureLink } from '../../protocol/link-test/index.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { peerIdOf } from '../../protocol/mesh/index.ts'
import type { Peer } from '../../protocol/peer/index.ts'
import { type Swarm, transferClock } from '../../protocol/swarm/index.ts'
import {
  type Bandwidth,
  createBandwidth,
  createLinkTester,
  createRoundTrips,
  parseWindow,
} from '../bandwidth/index.ts'
import type { NodeConfig } from '../config.ts'

export interface NodeLine extends Bandwidth {
  /** A control stream is up. @param observedAddr where the coordinator sees us */
  onUp(observedAddr: string): void
  /** Keeps the swarm within the limits, and tests the line, until `signal`. */
  start(swarm: Swarm, signal: AbortSignal): void
}

/** Wires the parts; nothing runs before `start`. */
export function createNodeLine(
  settings: NodeConfig['bandwidth'],
  { peer, random, logger }: { peer: Peer; random: () => number; logger: Logger },
): NodeLine {
  const bandwidth = createBandwidth(settings, {
    clock: transferClock,
    wallMs: () => Date.now(),
    logger,
  })
  const roundTrips = createRoundTrips({
    connection: () =>
      peer.mesh
        .getConnections()
        .find((open) => peerIdOf(open.remotePeer) === peer.keeper.coordinator && !open.limits),
    clock: transferClock,
    onRoundTrip: bandwidth.roundTrip,
    logger,
  })
  const tester = createLinkTester({
    caches: () =>
      peer.lists.members('cache').map(({ peer: cache, addrs }) => ({
        ...{ peer: cache, addresses: addrs },
      })),
    async measure(cache, options) {
      const secret = peer.memberSecret()
      if (!secret) throw new Error('the coordinator has not greeted us yet')
      return await measureLink(cache, { mesh: peer.mesh, clock: transferClock, secret }, options)
    },
    isQuiet: bandwidth.isQuiet,
    onMeasured: bandwidth.measured,
    ...{ clock: transferClock, random, logger },
  })
  let seenAt: string | undefined
  return {
    ...bandwidth,
    onUp(observedAddr) {
      bandwidth.newPath()
      roundTrips.rest()
      const host = /^\/ip[46]\/([^/]+)/.exec(observedAddr)?.[1]
      if (seenAt !== undefined && host !== seenAt) tester.testSoon()
      seenAt = host
    },
    start(swarm, signal) {
      void bandwidth.run(swarm, roundTrips.ping, signal).finally(roundTrips.rest)
      void tester.run(signal)
    },
  }
}

/** What no schema says of the chef's bandwidth. */
export function bandwidthProblems({ bandwidth }: NodeConfig): ConfigProblem[] {
  return bandwidth.schedule.flatMap((text) => {
    try {
      parseWindow(text)
      return []
    } catch (error) {
      return [{ key: 'bandwidth.schedule', message: describeError(error) }]
    }
  })
}
