/** Pulses: the coordinator's signs of life, and how peers tell one another of them. */
export { askPulse } from './ask-pulse.ts'
export { createPulseKeeper, type HeldPulse, type PulseKeeper } from './pulse-keeper.ts'
export { pulseProtocol } from './pulse-wire.ts'
export { servePulse } from './serve-pulse.ts'
