/** Slots: what is persisted of them, how they stand, and what an action makes of them. Pure. */
export type { RestartAction, SlotAction } from './actions.ts'
export { blocksSlot, isFinal, isReturning, mayRelease, progressOf, runsOn } from './leaving.ts'
export {
  type Claim,
  type Leaving,
  type Placement,
  type PlacementState,
  type SlotRecord,
  SlotRecordSchema,
} from './records.ts'
export { renewable } from './renewals.ts'
export { standingOf } from './standing.ts'
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
export { type IsWanted, wantedSlots } from './wanted.ts'
