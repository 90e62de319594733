/** Whether there is room for one more order here. Pure. */
import { PotluckError } from '../../protocol/errors.ts'
import { parseSlotId, type SlotId } from '../../protocol/ids.ts'
import type { Allocation } from '../../protocol/orders/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'

/** Hello carries all orders in one frame of 2 MiB; the rest of it is small. */
const orderBytesMax = 1_500_000

/**
 * @param taken slots that run here or are about to, and the sizes of their orders
 * @throws {PotluckError} GROUP_ALREADY_HERE, NODE_FULL, ORDERS_TOO_LARGE: there is no room
 */
export function admit(
  order: Allocation,
  signed: Signed,
  taken: readonly (readonly [SlotId, number])[],
  allocationsMax: number,
): void {
  const others = new Map(taken.filter(([slot]) => slot !== order.slot))
  const { group } = parseSlotId(order.slot)
  if ([...others.keys()].some((slot) => parseSlotId(slot).group === group)) {
    throw new PotluckError('GROUP_ALREADY_HERE', `another slot of group ${group} runs here`)
  }
  if (others.size >= allocationsMax) {
    throw new PotluckError('NODE_FULL', `${allocationsMax} allocations are all the chef allows`)
  }
  const bytes = [...others.values()].reduce((sum, size) => sum + size, signed.payload.length)
  if (bytes > orderBytesMax) {
    const message = `orders of ${bytes} bytes; ${orderBytesMax} are all that a hello has room for`
    throw new PotluckError('ORDERS_TOO_LARGE', message)
  }
}
