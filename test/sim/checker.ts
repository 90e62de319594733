/**
 * Watches the simulated world and says when a promise of leases.md is broken. It sees what no part
 * of Potluck can see: every container on every machine at the same moment.
 */
import type { GroupRecord, InstanceView } from '../../coordinator/groups/index.ts'
import {
  compareFence,
  type Fence,
  type GroupId,
  type InstanceId,
  type PeerId,
  parseSlotId,
  type SlotId,
  slotId,
} from '../../protocol/ids.ts'
import type { ContainerEvent, SimNode } from './node.ts'

export type Violation = Readonly<{ atMs: number; what: string; slot?: SlotId; detail: string }>

export type CheckerNumbers = Readonly<{
  /** Longest that two containers of one slot of a group may run at once. */
  overlapMs: (group: GroupId) => number
  /** Undisturbed for so long, a node's slot may not be given away. */
  undisturbedMs: number
  /** Whether something is being done to a node. */
  isTroubled: (node: PeerId) => boolean
}>

type Placed = Readonly<{
  fence: Fence
  node: PeerId
  instance: InstanceId
  version: number
  runs: boolean
}>

export class Checker {
  readonly violations: Violation[] = []
  /** Slots that went to another instance though nothing was wrong with their node. */
  readonly needless: Violation[] = []
  replacements = 0
  readonly #numbers: CheckerNumbers
  readonly #nowMs: () => number
  readonly #running = new Map<SlotId, Map<InstanceId, SimNode>>()
  /** Since when a slot has more than one container. */
  readonly #overlaps = new Map<SlotId, number>()
  readonly #placed = new Map<SlotId, Placed>()
  /** When something last went wrong for a node, by what was done to the world. */
  readonly #disturbedMs = new Map<PeerId, number>()
  #allDisturbedMs = Number.NEGATIVE_INFINITY
  longestOverlapMs = 0

  constructor(numbers: CheckerNumbers, nowMs: () => number) {
    this.#numbers = numbers
    this.#nowMs = nowMs
  }

  /** Something was done to a node; to all without one. */
  disturbed(node?: PeerId): void {
    if (node === undefined) this.#allDisturbedMs = this.#nowMs()
    else this.#disturbedMs.set(node, this.#nowMs())
  }

  container({ node, slot, instance, runs }: ContainerEvent): void {
    const all = this.#running.get(slot) ?? new Map<InstanceId, SimNode>()
    this.#running.set(slot, all)
    if (!runs) {
      all.delete(instance)
      if (all.size <= 1) this.#endOverlap(slot)
      return
    }
    const { group } = parseSlotId(slot)
    for (const [other, its] of node.running) {
      if (other === instance || parseSlotId(its).group !== group) continue
      this.#violated('two slots of a group on a node', slot, `${its} runs on ${node.machine.name}`)
    }
    all.set(instance, node)
    if (all.size > 1 && !this.#overlaps.has(slot)) this.#overlaps.set(slot, this.#nowMs())
  }

  /** A look at the coordinator's records of a group. Call each second while it is up. */
  look({ id: group, replicas }: GroupRecord, instances: readonly InstanceView[]): void {
    for (const slot of this.#placed.keys()) {
      const { group: its, number } = parseSlotId(slot)
      if (its === group && number >= replicas) this.#placed.delete(slot)
    }
    const newest = new Map<SlotId, InstanceView>()
    for (const view of instances) {
      const slot = slotId(group, view.slot)
      const known = newest.get(slot)
      if (!known || compareFence(view, known) > 0) newest.set(slot, view)
    }
    for (const [slot, view] of newest) this.#lookAt(slot, view)
  }

  /** Overlaps that go on. Call each second. */
  tick(): void {
    for (const [slot, sinceMs] of this.#overlaps) {
      if (this.#nowMs() - sinceMs <= this.#overlapMs(slot)) continue
      const where = [...(this.#running.get(slot)?.values() ?? [])].map(
        ({ machine }) => machine.name,
      )
      this.#violated('two containers of a slot for too long', slot, where.join(' and '))
      this.#overlaps.delete(slot)
    }
  }

  /** How many containers of a group run that are their slot's only one. */
  runningOf(group: GroupId): number {
    let count = 0
    for (const [slot, all] of this.#running) {
      if (parseSlotId(slot).group === group && all.size === 1) count += 1
    }
    return count
  }

  violated(what: string, detail: string): void {
    this.violations.push({ atMs: this.#nowMs(), what, detail })
  }

  #lookAt(slot: SlotId, { node, id, state, term, epoch, version }: InstanceView): void {
    const fence: Fence = { term, epoch }
    const before = this.#placed.get(slot)
    const order = before ? compareFence(fence, before.fence) : 1
    if (before && order < 0) {
      this.#violated('an epoch went back', slot, `${before.fence.epoch} to ${epoch}`)
    }
    if (before && order === 0 && before.instance !== id) {
      this.#violated('one epoch, two instances', slot, `${before.instance} and ${id}`)
    }
    if (before && before.instance !== id && before.version === version) {
      this.replacements += 1
      if (before.runs && this.#wasUndisturbed(before.node)) {
        const detail = `${before.node}, epoch ${before.fence.epoch} to ${epoch}`
        this.needless.push({ atMs: this.#nowMs(), what: 'needless replacement', slot, detail })
      }
    }
    this.#placed.set(slot, { fence, node, instance: id, version, runs: state === 'running' })
  }

  #wasUndisturbed(node: PeerId): boolean {
    if (this.#numbers.isTroubled(node)) return false
    const sinceMs = Math.max(
      this.#allDisturbedMs,
      this.#disturbedMs.get(node) ?? Number.NEGATIVE_INFINITY,
    )
    return this.#nowMs() - sinceMs > this.#numbers.undisturbedMs
  }

  #endOverlap(slot: SlotId): void {
    const sinceMs = this.#overlaps.get(slot)
    if (sinceMs === undefined) return
    this.#overlaps.delete(slot)
    const ms = this.#nowMs() - sinceMs
    this.longestOverlapMs = Math.max(this.longestOverlapMs, ms)
    if (ms > this.#overlapMs(slot)) {
      this.#violated('two containers of a slot for too long', slot, `${ms} ms`)
    }
  }

  #overlapMs(slot: SlotId): number {
    return this.#numbers.overlapMs(parseSlotId(slot).group)
  }

  #violated(what: string, slot: SlotId, detail: string): void {
    this.violations.push({ atMs: this.#nowMs(), what, slot, detail })
  }
}
