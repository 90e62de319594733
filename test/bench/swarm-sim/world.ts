/** What all peers of one simulated swarm share. */
import type { BundleLayout } from '../../../protocol/bundle/index.ts'
import type { Events } from './events.ts'

/**
 * Bytes on the wire for one of payload: TCP and the protocols above it, measured on a limited line
 * of 20 Mbit/s (swarm.md 2.2). The bound is in payload, the links carry this much more.
 */
export const wireTax = 1.044

/** What the sweep turns. */
export type Policy = Readonly<{
  slots: number
  windowChunks: number
  /** Neighbours of a home. */
  degree: number
  /** Caches show chunks by a plan; else everything at once. */
  superSeed: boolean
  /** Homes in their turn; else all are equal. */
  favourites: boolean
}>

export const policyDefault: Policy = {
  slots: 2,
  windowChunks: 128,
  degree: 32,
  superSeed: true,
  favourites: true,
}

export type World = Readonly<{
  events: Events
  layout: BundleLayout
  /** Bytes of each chunk as it travels. */
  chunkBytes: Float64Array
  random: () => number
  policy: Policy
  /** Bytes on the wire for each of payload. */
  tax: number
}>
