/** Capacity: what this node can lend, for the coordinator and for gossip. */
export {
  advertOf,
  capacityOf,
  type Lent,
  type Machine,
  measureMachine,
} from './capacity.ts'
export { findGpus } from './gpus.ts'
