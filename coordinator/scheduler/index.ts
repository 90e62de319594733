/** The scheduler: which node gets a slot, and why not. Pure, over an index of what is free. */
export { type Choice, type ChooseContext, chooseNode, drawOf } from './choose-node.ts'
export { describeExplanation, type Explanation, explainPlacement } from './explain.ts'
export { domainsOf, type Spread, spreadOf } from './fault-domains.ts'
export { Fleet } from './fleet.ts'
export { choosePreemption } from './preemption.ts'
export { rankOf } from './priority.ts'
export { Ring } from './ring.ts'
export { planUsage, type Usage, usageOf } from './usage.ts'
