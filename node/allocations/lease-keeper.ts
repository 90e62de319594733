/**
 * The leases of all that runs here, moved on: by renewals, by the rule that holds for one that lapsed,
 * and each time in the guard's file before anybody relies on it.
 */
import type { Clock } from '../../protocol/clock.ts'
import type { Fault, Renewal } from '../../protocol/control/index.ts'
import { compareFence, type InstanceId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { Allocation } from '../../protocol/orders/index.ts'
import type { Guard, GuardTime } from '../guard/index.ts'
import type { LeaseWatch } from '../leases/index.ts'
import { type Docket, type DocketEntry, guardTimeOf } from './docket.ts'
import { extend, type LeaseParts, type LeaseTerms, review } from './lease-terms.ts'

export interface LeaseKeeper {
  /** The guard knows of `order`, and of all else, when `work` begins. */
  during(order: Allocation, lease: LeaseTerms, work: () => Promise<void>): Promise<void>
  /** The guard knows all that runs when it resolves. */
  tellGuard(): Promise<void>
  renew(renewals: readonly Renewal[]): Promise<void>
  /** Judges each lease by what is known now, and ends what may run no longer. */
  tick(): void
}

export type LeaseKeeperComponents = LeaseParts &
  Readonly<{
    docket: Docket
    leases: Pick<LeaseWatch, 'otherHouseholds'>
    guard: Guard
    end: (entry: DocketEntry, reason: Fault) => Promise<void>
    clock: Clock
    logger: Logger
  }>

/** A lease that lapsed is judged anew each second; its guard follows at this pace. */
const guardPaceMs = 5_000
const lapsed: Fault = { code: 'LEASE_LAPSED', message: 'the lease was not renewed in time' }

export function createLeaseKeeper(components: LeaseKeeperComponents): LeaseKeeper {
  const { docket, time, leases, guard, end, clock, logger } = components
  /** Instances about to begin, several at once: the guard knows before a container exists. */
  const beginning = new Map<InstanceId, GuardTime>()
  let guardToldMs = 0

  const tellGuard = (): Promise<void> => {
    guardToldMs = clock.nowMs()
    const { offsetMs } = time
    const { otherHouseholds } = leases
    const times = new Map([...docket.guardTimes(), ...beginning])
    return guard.allow(times, { offsetMs, otherHouseholds })
  }
  return {
    tellGuard,
    async during(order, lease, work) {
      beginning.set(order.instance, guardTimeOf(lease))
      try {
        await tellGuard()
        await work()
      } finally {
        beginning.delete(order.instance)
      }
    },
    async renew(renewals) {
      for (const renewal of renewals) {
        const entry = docket.get(renewal.slot)
        if (!entry || compareFence(entry.order, renewal) !== 0) continue
        extend(entry.lease, entry.order, renewal.leaseEndMs, components)
        if (renewal.ticket) entry.ticket = renewal.ticket
      }
      if (docket.size > 0) await tellGuard()
    },
    tick() {
      const nowMs = clock.nowMs()
      for (const entry of docket.entries()) {
        const { order, lease } = entry
        if (review(lease, order, components)) {
          const { slot, epoch } = order
          logger.warn({ slot, epoch, rule: lease.rule }, 'another rule holds for a lease')
        }
        if (lease.stopAtMs <= nowMs) void end(entry, lapsed)
      }
      const isLapsed = docket.entries().some(({ lease }) => lease.rule !== 'leased')
      if (isLapsed && nowMs - guardToldMs >= guardPaceMs) {
        tellGuard().catch((error: unknown) => logger.error({ error }, 'the guard is not told'))
      }
    },
  }
}
