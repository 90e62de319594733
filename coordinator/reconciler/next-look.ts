/**
 * When a group has to be looked at again though nothing happens: the moment at which time alone
 * changes what a plan would do. Beside what changes, only what is due is planned; a moment that was
 * missing here would leave a slot as it is until the patrol comes round.
 */
import { compareFence, type PeerId, parseSlotId, type SlotId } from '../../protocol/ids.ts'
import type {
  GroupTarget,
  IsWanted,
  NodeView,
  Placement,
  SlotRecord,
  SlotsInput,
} from '../slots/index.ts'

/** What is sent again until it is seen, and what waits for an image or for room. */
const againMs = 1_000
const waitingMs = 5_000

type World = Omit<SlotsInput, 'slots' | 'groups'>

/** Coordinator's time; undefined: only news can change anything. */
export function nextLookMs(
  target: GroupTarget | undefined,
  records: readonly SlotRecord[],
  isWanted: IsWanted,
  world: World,
): number | undefined {
  let due = Number.POSITIVE_INFINITY
  const at = (ms: number): void => {
    if (ms > world.nowMs) due = Math.min(due, ms)
  }
  for (const record of records) {
    const { slot, placement, finished, notBeforeMs } = record
    if (placement) at(placementDue(slot, placement, target, world))
    for (const old of record.leaving) {
      const view = world.nodes.get(old.node)
      const overMs = old.leaseEndMs + world.numbers.skewMs + 1
      if (view?.connected) {
        at(isShown(view, slot, old) ? world.nowMs + againMs : old.acceptUntilMs + 1)
      } else {
        const hopeMs = old.why === 'lapsed' && target && !target.deleted ? target.orphanAfterMs : 0
        at(overMs + world.numbers.guardMs + hopeMs)
      }
      at(overMs)
    }
    const isVacant = !placement && !finished && isWanted(parseSlotId(slot).number)
    if (isVacant) at(Math.max(notBeforeMs + 1, world.nowMs + againMs))
  }
  if (target && records.filter(({ placement }) => placement).length < target.replicas) {
    at(world.nowMs + (target.bundle === undefined ? againMs : waitingMs))
  }
  return Number.isFinite(due) ? due : undefined
}

function placementDue(
  slot: SlotId,
  placement: Placement,
  target: GroupTarget | undefined,
  { nodes, nowMs, settled, leaseEndMs, numbers }: World,
): number {
  const view = nodes.get(placement.node)
  if (!view?.connected) {
    const lostMs = leaseEndMs(slot) + numbers.skewMs + (target?.lostAfterMs ?? 0) + 1
    return settled ? Math.max(lostMs, nowMs + 1) : nowMs + againMs
  }
  return isShown(view, slot, placement) ? Number.POSITIVE_INFINITY : nowMs + againMs
}

function isShown(
  { held }: NodeView,
  slot: SlotId,
  { fence }: Readonly<{ node: PeerId } & Pick<Placement, 'fence'>>,
): boolean {
  const shown = held.get(slot)
  return shown !== undefined && compareFence(shown.fence, fence) === 0
}
