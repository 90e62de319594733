/**
 * What nodes said of their GPUs, against what they say now. A GPU has one UUID for life: the same
 * UUID is never another class, and never in two homes at once. Names and memory are compared as
 * classes, because drivers spell names differently and round memory.
 */
import { LRUCache } from 'lru-cache'
import type { Gpu } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import type { OffenceKind } from './conduct.ts'

export type Contradiction = Readonly<{
  kind: Extract<OffenceKind, 'gpu-changed' | 'gpu-elsewhere'>
  text: string
}>

export interface GpuClaims {
  /** Takes what a connected node lends now; what contradicts what is known, each once. */
  see(
    claim: Readonly<{ node: PeerId; household: string; gpus: readonly Gpu[] }>,
    nowMs: number,
  ): readonly Contradiction[]
}

type Known = { nature: string; node: PeerId; household: string; atMs: number }

/** A card that was moved is claimed by its new home at once, and by the old one no longer. */
const bothMs = 5 * 60_000
const gpusMax = 100_000
const gib = 2 ** 30

/** @param classOf a class's id, if the catalogue has one */
export function createGpuClaims({
  classOf,
}: Readonly<{ classOf: (name: string, vramBytes: number) => string | undefined }>): GpuClaims {
  const known = new LRUCache<string, Known>({ max: gpusMax })
  const natureOf = ({ name, vramBytes }: Gpu): string =>
    classOf(name, vramBytes) ?? `${name.toLowerCase()} ${Math.round(vramBytes / gib)} GiB`
  return {
    see({ node, household, gpus }, nowMs) {
      const found: Contradiction[] = []
      for (const gpu of gpus) {
        const nature = natureOf(gpu)
        const before = known.get(gpu.uuid)
        if (before && before.household !== household && nowMs - before.atMs < bothMs) {
          // Who came first keeps it: the other may have read the UUID in an advert.
          const text = `${gpu.uuid} is in another home, at node ${before.node}`
          found.push({ kind: 'gpu-elsewhere', text })
          continue
        }
        if (before && before.nature !== nature) {
          const text = `${gpu.uuid} was ${before.nature} and is ${nature} now`
          // Told of the one who says so now; the card's earlier owner is not answerable for it.
          if (before.node === node) found.push({ kind: 'gpu-changed', text })
        }
        known.set(gpu.uuid, { nature, node, household, atMs: nowMs })
      }
      return found
    },
  }
}
