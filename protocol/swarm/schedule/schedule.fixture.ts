/** Maps and randomness for the tests of policies. */
import { Bitfield } from '../../bundle/index.ts'
import { PeerMaps } from './peer-maps.ts'

export const chunkBytes = 65_536

export function mapsOf(chunkCount: number, holdings: Record<string, readonly number[]>): PeerMaps {
  const maps = new PeerMaps({ chunkCount, bytesOf: () => chunkBytes })
  for (const [peer, held] of Object.entries(holdings)) maps.set(peer, fieldOf(chunkCount, held), 0)
  return maps
}

export function fieldOf(size: number, set: readonly number[]): Bitfield {
  const field = new Bitfield(size)
  for (const bit of set) field.set(bit)
  return field
}
