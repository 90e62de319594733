/**
 * The node's side of the talk with its coordinator: what it tells of itself, what it does with each
 * message, and how it takes its leave.
 */

import type { BundleStore } from '../../protocol/chunk-store/index.ts'
import type { Clock } from '../../protocol/clock.ts'
import {
  bundlesMax,
  type ControlLink,
  type Hello,
  instancesMax,
  type UpMessage,
} from '../../protocol/control/index.ts'
import type { BundleId, SlotId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { MisbehaviourLog, Peer, PeerControlHandlers } from '../../protocol/peer/index.ts'
import type { Swarm } from '../../protocol/swarm/index.ts'
import type { Allocations } from '../allocations/index.ts'
import type { LeaseWatch } from '../leases/index.ts'
import type { SecurityDesk } from '../security/index.ts'
import type { CapacityWatch } from './capacity-watch.ts'
import type { NodeLine } from './line.ts'
import type { Ownership } from './ownership.ts'

type Parts = Readonly<{
  line: Pick<NodeLine, 'onUp' | 'roundTrip'>
  peer: Peer
  allocations: Allocations
  leases: Pick<LeaseWatch, 'learn'>
  capacity: CapacityWatch
  chunks: BundleStore
  swarm: Swarm
  misbehaviour: MisbehaviourLog
  /** Boot clock. */
  clock: Clock
  security: Pick<SecurityDesk, 'resend' | 'taken'>
  ownership: Ownership
  logger: Logger
}>
type Message = Parameters<PeerControlHandlers['onMessage']>[0]

/** How long containers have between SIGTERM and SIGKILL when the daemon ends. */
const goodbyeGraceMs = 5_000

export interface CoordinatorLink {
  /** False when there is no stream; nothing is queued for later. */
  send(message: UpMessage): boolean
  /** How far downloads are, where that changed: beats alone would make a tenant's bars jump. */
  tellProgress(): void
  /**
   * Lets slots be given away at once, then removes the containers. Strict groups' slots are let go
   * only when they have stopped.
   */
  leave(reason: string): Promise<void>
}

/** Connects, and stays connected until it has left or the peer is stopped. */
export function connectCoordinator(parts: Parts): CoordinatorLink {
  const { line, peer, allocations, leases, capacity, chunks, swarm, misbehaviour } = parts
  const { security, ownership, clock, logger } = parts
  /** Said again on a new stream: the coordinator may have missed it. */
  let leaving: UpMessage | undefined
  const sayGoodbye = (goodbye: UpMessage): void => {
    leaving = goodbye
    link.send(goodbye)
  }
  /** The most recently used ones, by whether they are whole. */
  const stored = (): Pick<Hello, 'bundles' | 'partial'> => {
    const [whole, partial]: [BundleId[], BundleId[]] = [[], []]
    for (const { id, complete } of chunks.bundles()) (complete ? whole : partial).push(id)
    return { bundles: whole.slice(-bundlesMax), partial: partial.slice(-bundlesMax) }
  }

  const sayIf = (message: UpMessage | undefined): void => {
    if (message) link.send(message)
  }
  const handle = async (message: Message): Promise<void> => {
    switch (message.type) {
      case 'order': {
        const answer = await allocations.offer(message.order)
        if (answer) link.send(answer)
        return
      }
      case 'revoke':
        await allocations.revoke(message.revocation)
        link.beatNow()
        return
      case 'holders': {
        const { bundle, hints } = message
        allocations.docket.learnHolders(bundle, hints)
        swarm.addHints(
          bundle,
          hints.map(({ peer, addrs }) => ({ peer, addresses: addrs })),
        )
        return
      }
      case 'drop-bundle':
        if (!isInUse(allocations, message.bundle)) await chunks.remove(message.bundle)
        return
      case 'security-taken':
        await security.taken(message.id)
        return
      case 'claim-answer':
        ownership.onAnswer(message)
        return
      default: // for caches, or of a later version
        return
    }
  }
  const link: ControlLink = peer.connect({
    facts: async () => ({
      capacity: capacity.now(),
      held: allocations.docket.held(),
      ...stored(),
      keysInUse: allocations.keysInUse(),
    }),
    state: () => ({
      instances: allocations.docket.reports().slice(0, instancesMax),
      ...stored(),
      capacity: capacity.now(),
      misbehaviour: misbehaviour.take(),
    }),
    isUrgent: () => allocations.docket.entries().length > 0,
    onUp(welcome) {
      line.onUp(welcome.observedAddr)
      leases.learn({ seenAt: welcome.observedAddr })
      sayIf(ownership.onUp(welcome))
      if (leaving) link.send(leaving)
      security.resend()
      for (const bundle of stored().bundles) swarm.announce(bundle)
    },
    onBeatAnswer(answer, sentMs) {
      misbehaviour.answered()
      line.roundTrip(clock.nowMs() - sentMs)
      leases.learn({ otherHouseholds: answer.otherHouseholds })
      sayIf(ownership.again())
      allocations
        .renew(answer.renewals)
        .catch((error: unknown) => logger.error({ error }, 'renewals could not be taken'))
    },
    onMessage(message) {
      handle(message).catch((error: unknown) =>
        logger.warn({ error, type: message.type }, 'a message was refused'),
      )
    },
  })
  const told = new Map<SlotId, number>()
  return {
    send: (message) => link.send(message),
    tellProgress() {
      const moving = allocations.docket.reports().filter(({ state }) => state === 'downloading')
      const slots = new Set(moving.map(({ slot }) => slot))
      for (const slot of told.keys()) if (!slots.has(slot)) told.delete(slot)
      for (const instance of moving) {
        if (told.get(instance.slot) === instance.bytesDone) continue
        if (link.send({ type: 'report', instance })) told.set(instance.slot, instance.bytesDone)
      }
    },
    async leave(reason) {
      const loose = allocations.docket.entries().filter(({ order }) => !order.strict)
      const slots = loose.map(({ order }) => order.slot)
      const stopped = allocations.stopAll(
        { code: 'NODE_STOPPING', message: reason },
        goodbyeGraceMs,
      )
      sayGoodbye({ type: 'goodbye', reason, slots })
      await stopped
      sayGoodbye({ type: 'goodbye', reason })
      await link.stop()
    },
  }
}

function isInUse(allocations: Allocations, bundle: BundleId): boolean {
  return allocations.docket.entries().some(({ order }) => order.bundle === bundle)
}
