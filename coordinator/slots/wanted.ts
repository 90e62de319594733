/**
 * Which slots of a group are wanted: as many as it has replicas. When it shrinks, the instances go
 * first whose deletion cost is lowest, as SaladCloud's tenants expect; with equal costs the highest
 * numbers go, so that slots 0 to N − 1 stay. Pure, from the records alone: a crash changes nothing.
 */
import { parseSlotId } from '../../protocol/ids.ts'
import type { SlotRecord } from './records.ts'

/** Whether a slot of this number is wanted. */
export type IsWanted = (number: number) => boolean

export function wantedSlots(replicas: number, records: readonly SlotRecord[]): IsWanted {
  const occupied = records
    .filter(({ placement, finished }) => placement !== undefined || finished !== undefined)
    .map(({ slot, placement }) => ({
      number: parseSlotId(slot).number,
      cost: placement?.deletionCost ?? 0,
    }))
  const isPlain = occupied.every(({ number }) => number < replicas)
  if (replicas === 0 || isPlain) return (number) => number < replicas
  occupied.sort((a, b) => b.cost - a.cost || a.number - b.number)
  const wanted = new Set(occupied.slice(0, replicas).map(({ number }) => number))
  for (let number = 0; wanted.size < replicas; number++) wanted.add(number)
  return (number) => wanted.has(number)
}
