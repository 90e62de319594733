/** The schedule of the swarm: what a seed shows, who is served next, who is a neighbour. All pure. */
export {
  type Candidate,
  chooseNeighbours,
  type NeighbourDraw,
  neighboursMax,
  neighboursMaxFor,
  redrawMs,
} from './neighbours.ts'
export { type LinkRates, PeerMaps, type PeerMapsInit } from './peer-maps.ts'
export { type Reveal, SeedPlan, type SeedPlanInit, type SeedShare } from './seed-plan.ts'
export { UploadRank, type UploadRankInit } from './upload-rank.ts'
export { type Send, UploadSlots, type UploadSlotsInit } from './upload-slots.ts'
