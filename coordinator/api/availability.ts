/** How much could be had now, counted from the nodes that are really connected. Pure. */
import type { FreeNode } from '../groups/index.ts'

export type Wanted = Readonly<{
  milliCpus: number
  memoryBytes: number
  storageBytes: number
  /** Lower-case ISO 3166-1; empty: anywhere. */
  countries: ReadonlySet<string>
}>

export type Availability = Readonly<{ free: number; onCall: number }>

type Room = Readonly<{ milliCpus: number; memoryBytes: number; storageBytes: number }>

/** Of each node that has room, what `count` says of it. */
function sum(
  nodes: readonly FreeNode[],
  wanted: Wanted,
  count: (room: Room & Readonly<{ gpuClasses: readonly string[] }>) => number,
): Availability {
  let [free, onCall] = [0, 0]
  for (const node of nodes) {
    const { countries } = wanted
    if (countries.size > 0 && !(node.country && countries.has(node.country))) continue
    if (hasRoom(node.all, wanted)) onCall += count(node.all)
    if (node.isFree && hasRoom(node, wanted)) free += count(node)
  }
  return { free, onCall }
}

function hasRoom(room: Room, { milliCpus, memoryBytes, storageBytes }: Wanted): boolean {
  return (
    room.milliCpus >= milliCpus &&
    room.memoryBytes >= memoryBytes &&
    room.storageBytes >= storageBytes
  )
}

/** Whole cores. */
export function cpuAvailability(nodes: readonly FreeNode[], wanted: Wanted): Availability {
  return sum(nodes, wanted, ({ milliCpus }) => Math.floor(milliCpus / 1_000))
}

/** Cards of any of `classes` (ids in lower case). */
export function gpuAvailability(
  nodes: readonly FreeNode[],
  wanted: Wanted,
  classes: ReadonlySet<string>,
): Availability {
  return sum(nodes, wanted, ({ gpuClasses }) => gpuClasses.filter((id) => classes.has(id)).length)
}
