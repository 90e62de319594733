/**
 * What the next plan looks at: groups and nodes of which there is news, groups whose moment has
 * come, groups that wait for room when some was freed; and each second a part of everything, in
 * turn, so that no step relies on news having been heard. A network that is small is looked at whole
 * each second. Bounded by slots, because a plan holds up the heartbeats.
 */
import type { GroupId, PeerId } from '../../protocol/ids.ts'

export type AgendaSizes = Readonly<{
  /** About so many slots are looked at in one plan. */
  slotsMax: number
  /** And so many nodes, and slots, each second because it is their turn. */
  patrolSlots: number
  patrolNodes: number
  /** Groups that wait are tried, when room was freed, in their turn. */
  waitingMax: number
}>

export const defaultAgendaSizes: AgendaSizes = {
  ...{ slotsMax: 4_000, patrolSlots: 2_000, patrolNodes: 1_000, waitingMax: 32 },
}

export type AgendaComponents = Readonly<{
  sizes?: AgendaSizes
  /** All there are, in any order. */
  groups: () => Iterable<GroupId>
  nodes: () => Iterable<PeerId>
  slotsOf: (group: GroupId) => number
}>

export type Scope = Readonly<{ groups: ReadonlySet<GroupId>; nodes: ReadonlySet<PeerId> }>

export class Agenda {
  readonly #parts: AgendaComponents
  readonly #sizes: AgendaSizes
  readonly #groups = new Set<GroupId>()
  readonly #nodes = new Set<PeerId>()
  /** In line for room: part of the next plan, or whoever is looked at anyway would take it first. */
  readonly #inLine = new Set<GroupId>()
  readonly #dueMs = new Map<GroupId, number>()
  #groupTurn: Iterator<GroupId> | undefined
  #nodeTurn: Iterator<PeerId> | undefined

  constructor(parts: AgendaComponents) {
    this.#parts = parts
    this.#sizes = parts.sizes ?? defaultAgendaSizes
  }

  get isEmpty(): boolean {
    return this.#groups.size + this.#nodes.size + this.#inLine.size === 0
  }

  touchGroup(group: GroupId): void {
    this.#groups.add(group)
  }

  touchNode(node: PeerId): void {
    this.#nodes.add(node)
  }

  touchAll(): void {
    for (const group of this.#parts.groups()) this.#groups.add(group)
    for (const node of this.#parts.nodes()) this.#nodes.add(node)
  }

  /** When the group is due though nothing happens; undefined: not by time. */
  setDue(group: GroupId, dueMs: number | undefined): void {
    if (dueMs === undefined) this.#dueMs.delete(group)
    else this.#dueMs.set(group, dueMs)
  }

  /** Touches those of `waiting`, who are first in line first, that may be tried now. */
  touchWaiting(waiting: Iterable<GroupId>): void {
    let left = this.#sizes.waitingMax
    for (const group of waiting) {
      if (left-- <= 0) return
      this.#inLine.add(group)
    }
  }

  /** Each second: what is due, and whose turn it is. */
  tick(nowMs: number): void {
    for (const [group, dueMs] of this.#dueMs) {
      if (dueMs > nowMs) continue
      this.#dueMs.delete(group)
      this.#groups.add(group)
    }
    const { groups, nodes, slotsOf } = this.#parts
    for (let slots = 0; slots < this.#sizes.patrolSlots; ) {
      this.#groupTurn ??= groups()[Symbol.iterator]()
      const next = this.#groupTurn.next()
      if (next.done) {
        this.#groupTurn = undefined
        break // once round at most
      }
      slots += 1 + slotsOf(next.value)
      this.#groups.add(next.value)
    }
    for (let count = 0; count < this.#sizes.patrolNodes; count++) {
      this.#nodeTurn ??= nodes()[Symbol.iterator]()
      const next = this.#nodeTurn.next()
      if (next.done) {
        this.#nodeTurn = undefined
        break
      }
      this.#nodes.add(next.value)
    }
  }

  /** All nodes of which there is news; they bring their groups along. */
  takeNodes(): ReadonlySet<PeerId> {
    const nodes = new Set(this.#nodes)
    this.#nodes.clear()
    return nodes
  }

  /** Groups for one plan; the rest stays for the next. */
  takeGroups(): ReadonlySet<GroupId> {
    const groups = new Set(this.#inLine)
    this.#inLine.clear()
    for (const group of groups) this.#groups.delete(group)
    let slots = 0
    for (const group of this.#groups) {
      if (slots >= this.#sizes.slotsMax) break
      slots += 1 + this.#parts.slotsOf(group)
      groups.add(group)
      this.#groups.delete(group)
    }
    return groups
  }
}
