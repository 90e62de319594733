/** The reconciler: the loop that makes observed what is desired, and what the API sees of it. */
export { openBrakeWatch } from './brake-watch.ts'
export { createControlPlaneView } from './control-plane-view.ts'
export { openCrowdBook } from './crowd.ts'
export { createHolders } from './holders.ts'
export { createOrderBuilder } from './order-builder.ts'
export { createOwnChecks } from './own-checks.ts'
export { createPulseDesk, type PulseDesk } from './pulse-desk.ts'
export {
  createReconciler,
  defaultLeaseNumbers,
  type Reconciler,
  type ReconcilerStats,
} from './reconciler.ts'
export { createSettling, type Settling } from './settling.ts'
export { openSlotBook, type SlotBook } from './slot-book.ts'
