/**
 * The nodes by what is free on them, so that placing one slot looks at some dozens and not at all:
 * a walk over ten thousand for each slot is what keeps a scheduler at hundreds of placements a
 * second. Kept by `refresh` as nodes and records change; it may lag, so a candidate is always held
 * to the filters. Nodes lie in cells by kind of free GPU and by halvings of free cores and memory:
 * what fits lies in no cell below the wish, and above it everything fits (nomad, `scheduler/feasible`
 * and `stack.go`; Kubernetes, percentageOfNodesToScore).
 */
import type { BundleId, GroupId, PeerId } from '../../protocol/ids.ts'
import type { GroupTarget, NodeView, SlotRecord } from '../slots/index.ts'
import { domainsOf } from './fault-domains.ts'
import { Ring } from './ring.ts'
import { type NodeUsage, usageOf } from './usage.ts'

export type FleetEntry = {
  readonly node: PeerId
  view: NodeView
  usage: NodeUsage
  /** Where `domains` were made for. */
  place: string
  domains: readonly string[]
}

type Cell = Readonly<{ cpu: number; memory: number; ring: Ring<FleetEntry> }>
/** Free GPUs of one product; the first is put to a group's `gpuFits`. */
type Kind = Readonly<{
  gpu: NonNullable<NodeView['capacity']>['gpus'][number] | undefined
  cells: Map<string, Cell>
}>

export type FleetComponents = Readonly<{
  nodes: ReadonlyMap<PeerId, NodeView>
  /** The records that have a placement or something leaving on the node. */
  recordsOn: (node: PeerId) => Iterable<SlotRecord>
}>

/** Below these nothing is asked for: what is freer than 2¹⁵ of them is as good as any. */
const cpuUnit = 125
const memoryUnitBytes = 128 * 2 ** 20
const classMax = 15

function classOf(amount: number, unit: number): number {
  return Math.min(classMax, Math.max(0, Math.floor(Math.log2(Math.max(1, amount / unit)))))
}

export class Fleet {
  readonly #parts: FleetComponents
  readonly #entries = new Map<PeerId, FleetEntry>()
  readonly #kinds = new Map<string, Kind>()
  readonly #cellsOf = new Map<PeerId, readonly Ring<FleetEntry>[]>()
  readonly #holders = new Map<BundleId, Ring<FleetEntry>>()
  readonly #heldBy = new Map<PeerId, ReadonlySet<BundleId>>()
  readonly #claims = new Map<GroupId, Set<PeerId>>()
  /** Counts refreshes after which a node may take what it could not before. */
  freed = 0

  constructor(parts: FleetComponents) {
    this.#parts = parts
    for (const node of parts.nodes.keys()) this.refresh(node)
  }

  get size(): number {
    return this.#entries.size
  }

  get(node: PeerId): FleetEntry | undefined {
    return this.#entries.get(node)
  }

  entries(): Iterable<FleetEntry> {
    return this.#entries.values()
  }

  recordsOn(node: PeerId): Iterable<SlotRecord> {
    return this.#parts.recordsOn(node)
  }

  /** Nodes where others are being stopped to make room for the group. */
  claimsOf(group: GroupId): number {
    return this.#claims.get(group)?.size ?? 0
  }

  /** Counts the node anew, from its view and the records that name it. */
  refresh(node: PeerId): void {
    const view = this.#parts.nodes.get(node)
    const old = this.#entries.get(node)
    if (!view) {
      if (old) this.#leave(old)
      this.#entries.delete(node)
      return
    }
    const usage = usageOf(view, this.#parts.recordsOn(node))
    const isFreer = !old || old.usage.allocations > usage.allocations || !this.#cellsOf.has(node)
    if (old) this.#leave(old)
    const entry: FleetEntry = old ?? { node, view, usage, place: '', domains: [] }
    const place = `${view.household} ${view.owner}`
    if (entry.place !== place) entry.domains = domainsOf(view)
    Object.assign(entry, { view, usage, place })
    this.#entries.set(node, entry)
    this.#enter(entry)
    if (isFreer && this.#cellsOf.has(node)) this.freed++
  }

  /**
   * Nodes to try for one more slot of `target`, those that hold its image first; it leaves out none
   * that fits. `draw` says where to begin, so that not all ask the same few.
   */
  *candidates(target: GroupTarget, draw: number): Generator<FleetEntry> {
    const holders = target.bundle && this.#holders.get(target.bundle)
    if (holders) yield* holders.from(draw, holdersTried)
    const rings = this.#ringsFor(target)
    const total = rings.reduce((sum, { size }) => sum + size, 0)
    if (total === 0) return
    // As if the cells were one ring: begin somewhere in it and go round.
    let skip = draw % total
    const first = rings.findIndex(({ size }) => {
      if (skip < size) return true
      skip -= size
      return false
    })
    for (let step = 0; step < rings.length; step++) {
      const ring = rings[(first + step) % rings.length]
      if (ring) yield* ring.from(step === 0 ? skip : 0, ring.size)
    }
  }

  #ringsFor({ gpuFits, milliCpus, memoryBytes }: GroupTarget): readonly Ring<FleetEntry>[] {
    const [cpu, memory] = [classOf(milliCpus, cpuUnit), classOf(memoryBytes, memoryUnitBytes)]
    const rings: Ring<FleetEntry>[] = []
    for (const { gpu, cells } of this.#kinds.values()) {
      // A node without a GPU, or whose GPUs are all taken, is of the kind that has none.
      if (gpuFits && !(gpu && gpuFits(gpu))) continue
      for (const cell of cells.values()) {
        if (cell.cpu >= cpu && cell.memory >= memory && cell.ring.size > 0) rings.push(cell.ring)
      }
    }
    return rings
  }

  #leave({ node, usage }: FleetEntry): void {
    const entry = this.#entries.get(node)
    if (!entry) return
    for (const ring of this.#cellsOf.get(node) ?? []) ring.delete(entry)
    this.#cellsOf.delete(node)
    for (const bundle of this.#heldBy.get(node) ?? []) {
      const ring = this.#holders.get(bundle)
      ring?.delete(entry)
      if (ring?.size === 0) this.#holders.delete(bundle)
    }
    this.#heldBy.delete(node)
    if (usage.claim) {
      const nodes = this.#claims.get(usage.claim.group)
      nodes?.delete(node)
      if (nodes?.size === 0) this.#claims.delete(usage.claim.group)
    }
  }

  #enter(entry: FleetEntry): void {
    const { node, view, usage } = entry
    const { capacity } = view
    if (usage.claim) {
      const { group } = usage.claim
      this.#claims.set(group, (this.#claims.get(group) ?? new Set()).add(node))
    }
    if (!capacity || !view.connected || view.departed || view.banned) return
    if (usage.allocations >= capacity.allocationsMax) return
    this.#heldBy.set(node, view.bundles)
    for (const bundle of view.bundles) {
      const ring = this.#holders.get(bundle) ?? new Ring<FleetEntry>()
      ring.add(entry)
      this.#holders.set(bundle, ring)
    }
    const cpu = classOf(capacity.milliCpus - usage.milliCpus, cpuUnit)
    const memory = classOf(capacity.memoryBytes - usage.memoryBytes, memoryUnitBytes)
    const free = capacity.gpus.filter(({ uuid }) => !usage.gpuUuids.has(uuid))
    const products = new Map(free.map((gpu) => [`${gpu.name} ${gpu.vramBytes}`, gpu] as const))
    const rings = (products.size === 0 ? [['', undefined] as const] : [...products]).map(
      ([name, gpu]) => this.#cell(name, gpu, cpu, memory),
    )
    for (const ring of rings) ring.add(entry)
    this.#cellsOf.set(node, rings)
  }

  #cell(name: string, gpu: Kind['gpu'], cpu: number, memory: number): Ring<FleetEntry> {
    const kind = this.#kinds.get(name) ?? { gpu, cells: new Map<string, Cell>() }
    this.#kinds.set(name, kind)
    const key = `${cpu} ${memory}`
    const cell = kind.cells.get(key) ?? { cpu, memory, ring: new Ring<FleetEntry>() }
    kind.cells.set(key, cell)
    return cell.ring
  }
}

/** Enough to find one that fits; the image is not worth asking all of thousands. */
const holdersTried = 32
