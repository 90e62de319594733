/**
 * What tenants ask of one instance: another node for it, a new container, another deletion cost. They
 * are carried out by the loop between two plans, so that no plan is made from a record that a request
 * is about to change.
 */
import { compareFence, type InstanceId } from '../../protocol/ids.ts'
import { InstanceGoneError, InstanceUnreachableError } from '../groups/index.ts'
import { applyAction, type SlotRecord, type TransitionContext } from '../slots/index.ts'
import type { SlotBook } from './slot-book.ts'

export type InstanceRequest =
  | Readonly<{ do: 'reallocate' }>
  /** A new container on the same node, under a new instance id. */
  | Readonly<{ do: 'recreate' }>
  /** The same container, stopped and started again. */
  | Readonly<{ do: 'restart' }>
  | Readonly<{ do: 'set-deletion-cost'; cost: number }>

/** SaladCloud's: how long a node that a tenant turned away does not get the slot again. */
export const reallocatedMs = 48 * 3_600_000
const exclusionsMax = 16

/** The slot's record after `request` about its placement. */
export function withRequest(
  record: SlotRecord,
  request: Exclude<InstanceRequest, Readonly<{ do: 'recreate' | 'restart' }>>,
  context: TransitionContext,
): SlotRecord {
  const { placement, slot } = record
  if (!placement) return record
  if (request.do === 'set-deletion-cost') {
    return { ...record, placement: { ...placement, deletionCost: request.cost } }
  }
  const reason = 'reallocated by the tenant'
  const left = applyAction(record, { do: 'vacate', slot, why: 'revoked', reason }, context)
  const others = left.exclusions.filter(({ node }) => node !== placement.node)
  const own = { node: placement.node, untilMs: context.nowMs + reallocatedMs }
  return { ...left, exclusions: [...others, own].slice(-exclusionsMax) }
}

export interface InstanceRequests {
  /** Resolves when the record is durable. @throws {InstanceGoneError} */
  ask(instance: InstanceId, request: InstanceRequest): Promise<void>
  /** For the loop: carries out what was asked. True when records changed. */
  carryOut(): Promise<boolean>
  /** Nothing is carried out any more. */
  close(reason: Error): void
}

export type InstanceRequestsComponents = Readonly<{
  book: SlotBook
  contextOf: (record: SlotRecord) => TransitionContext
  /** A new epoch of the slot on the node that it is on, if that can be ordered now. */
  order: (record: SlotRecord, what: 'recreate' | 'restart') => Promise<void>
  /** Something was asked: look soon. */
  kick: () => void
}>

/** The API answers as many at once at most. */
const askedMax = 1_000

type Asked = Readonly<{
  instance: InstanceId
  request: InstanceRequest
  done: PromiseWithResolvers<void>
}>

export function createInstanceRequests({
  book,
  contextOf,
  order,
  kick,
}: InstanceRequestsComponents): InstanceRequests {
  let asked: Asked[] = []
  let closed: Error | undefined

  const one = async ({ instance, request, done }: Asked): Promise<boolean> => {
    try {
      const record = [...book.slots.values()].find(
        ({ placement }) => placement?.instance === instance,
      )
      const fenceBefore = record?.placement?.fence
      if (!record || !fenceBefore) throw new InstanceGoneError(instance)
      if (request.do === 'recreate' || request.do === 'restart') {
        await order(record, request.do)
        const { placement } = book.slots.get(record.slot) ?? {}
        // The same epoch still: a new one could not be ordered.
        const isSame = placement && compareFence(placement.fence, fenceBefore) <= 0
        if (isSame) throw new InstanceUnreachableError(instance)
      } else {
        // The lease of an epoch that is being given up must not grow meanwhile.
        book.mark([record.slot])
        await book.commit([withRequest(record, request, contextOf(record))])
      }
      done.resolve()
      return true
    } catch (error) {
      done.reject(error)
      return false
    } finally {
      book.unmark()
    }
  }

  return {
    ask(instance, request) {
      if (closed || asked.length >= askedMax) {
        return Promise.reject(closed ?? new InstanceGoneError(instance))
      }
      const done = Promise.withResolvers<void>()
      asked.push({ instance, request, done })
      kick()
      return done.promise
    },
    async carryOut() {
      const now = asked
      asked = []
      let changed = false
      for (const each of now) changed = (await one(each)) || changed
      return changed
    },
    close(reason) {
      closed = reason
      for (const { done } of asked) done.reject(reason)
      asked = []
    },
  }
}
