/** The scheduler: which node gets a slot, and why not. Pure. */
export {
  type Choice,
  type ChooseContext,
  chooseNode,
  describeChoice,
  type FilterReason,
  householdsOf,
} from './choose-node.ts'
export { createUsage, type NodeUsage, type Usage } from './usage.ts'
