/** Slots: what is persisted of them, how they stand, and the pure plan from desired to observed. */
export { isFinal } from './leaving.ts'
export { planSlots, type SlotAction, type SlotsPlan } from './plan.ts'
export {
  type Leaving,
  type Placement,
  type PlacementState,
  type SlotRecord,
  SlotRecordSchema,
} from './records.ts'
export { renewable } from './renewals.ts'
export {
  applyAction,
  emptySlot,
  nextFence,
  type TransitionContext,
  withPlacement,
} from './transitions.ts'
export {
  type GroupTarget,
  type Held,
  hasLeft,
  type LeaseNumbers,
  type NodeView,
  type SlotsInput,
} from './views.ts'
