/**
 * A small world for the pure step: nodes that take orders, die, come back, lose messages; a
 * coordinator that crashes between any two effects. It runs the production lines (plan and
 * transitions); only disk and wire are played. For the property test.
 */
import type { InstanceReport } from '../../protocol/control/index.ts'
import {
  type BundleId,
  compareFence,
  type Fence,
  type GroupId,
  type InstanceId,
  type PeerId,
  parseSlotId,
  type SlotId,
  type Term,
} from '../../protocol/ids.ts'
import {
  applyAction,
  emptySlot,
  type GroupTarget,
  type Held,
  isFinal,
  type LeaseNumbers,
  type NodeView,
  nextFence,
  type Placement,
  runsOn,
  type SlotRecord,
  type SlotsInput,
  withPlacement,
} from '../slots/index.ts'
import type { AgendaSizes } from './agenda.ts'
import { planSlots, type SlotsPlan } from './plan.ts'
import { nodesOf } from './plan-index.ts'
import { Planner } from './planner.ts'

export const numbers: LeaseNumbers = { leaseMs: 15_000, skewMs: 2_000, guardMs: 60_000 }
const beatMs = 5_000
const term = 1 as Term
const bundle = 'b'.repeat(64) as BundleId
const nothing = new Uint8Array(64)

type Container = {
  fence: Fence
  instance: InstanceId
  state: InstanceReport['state']
  /** When the lease that it knows of ends. */
  leaseEndMs: number
}

type ModelNode = {
  view: { -readonly [K in keyof NodeView]: NodeView[K] }
  readonly containers: Map<SlotId, Container>
  readonly memory: Map<SlotId, Fence>
  alive: boolean
  /** Alive, and its line is cut. */
  cut: boolean
  lastBeatMs: number
  pendingOrders: { slot: SlotId; placement: Placement }[]
  pendingRevokes: { slot: SlotId; fence: Fence }[]
  capacityMilliCpus: number
}

export class SlotWorld {
  nowMs = 1_000_000
  readonly groups = new Map<GroupId, GroupTarget>()
  readonly nodes = new Map<PeerId, ModelNode>()
  /** The disk: what a crash of the coordinator leaves. */
  slots = new Map<SlotId, SlotRecord>()
  readonly #retired = new Set<GroupId>()
  #leases = new Map<SlotId, { fence: Fence; endMs: number }>()
  #settledAtMs: number | undefined = 0
  #windowEndMs = 0
  #instances = 0
  /** Every fence ever handed out, by slot, in order. */
  readonly handedOut = new Map<SlotId, Fence[]>()
  readonly problems: string[] = []
  readonly #views = new Map<PeerId, NodeView>()
  /** Absent: every plan looks at everything. */
  #planner: Planner | undefined
  readonly #sizes: AgendaSizes | undefined
  minRunMs: number | undefined

  /** @param sizes plan what changed only, with this much patrol */
  constructor(sizes?: AgendaSizes) {
    this.#sizes = sizes
    this.#startPlanner()
  }

  #startPlanner(): void {
    if (!this.#sizes) return
    const recordsOf = (group: GroupId) =>
      [...this.slots.values()].filter(({ slot }) => parseSlotId(slot).group === group)
    this.#planner = new Planner({
      ...{ sizes: this.#sizes, nodes: this.#views, targets: this.groups, recordsOf },
      sizeOf: (group) => recordsOf(group).length,
      recordedGroups: () => [...this.slots.keys()].map((slot) => parseSlotId(slot).group),
      recordsOn: (node) => [...this.slots.values()].filter((item) => nodesOf(item).includes(node)),
    })
  }

  #put(record: SlotRecord): void {
    const before = this.slots.get(record.slot)
    this.slots.set(record.slot, record)
    this.#planner?.touchRecord(record, before)
  }

  #show(node: ModelNode): void {
    this.#views.set(node.view.node, node.view)
    this.#planner?.touchNode(node.view.node)
  }

  addNode(index: number, milliCpus: number): void {
    const node = `node-${index}` as PeerId
    this.nodes.set(node, {
      view: this.#away(node),
      containers: new Map(),
      memory: new Map(),
      alive: true,
      cut: false,
      lastBeatMs: 0,
      pendingOrders: [],
      pendingRevokes: [],
      capacityMilliCpus: milliCpus,
    })
    for (const added of this.nodes.values()) this.#show(added)
  }

  setGroup(index: number, change: Partial<GroupTarget>): void {
    const group = `00000000-0000-4000-8000-00000000000${index}` as GroupId
    const old = this.groups.get(group)
    if (this.#retired.has(group)) return
    this.groups.set(group, {
      ...{ group, version: 1, replicas: 1, deleted: false, bundle, milliCpus: 1_000 },
      ...{ memoryBytes: 1, storageBytes: 1, shmBytes: 0, needsEnv: false, restart: 'always' },
      ...{ lostAfterMs: 0, orphanAfterMs: 3_600_000 },
      ...old,
      ...change,
      ...(old?.deleted ? { deleted: true, replicas: 0 } : {}),
    })
    this.#planner?.touchGroup(group)
  }

  setCost(slot: SlotId, deletionCost: number): void {
    const record = this.slots.get(slot)
    if (record?.placement)
      this.#put({ ...record, placement: { ...record.placement, deletionCost } })
  }

  kill(index: number): void {
    const node = this.#node(index)
    if (!node) return
    node.alive = false
    node.containers.clear()
    this.#disconnect(node)
  }

  revive(index: number): void {
    const node = this.#node(index)
    if (node && !node.alive) node.alive = true
  }

  cut(index: number): void {
    const node = this.#node(index)
    if (!node) return
    node.cut = true
    this.#disconnect(node)
  }

  heal(index: number): void {
    const node = this.#node(index)
    if (node) node.cut = false
  }

  goodbye(index: number): void {
    const node = this.#node(index)
    if (!node?.alive || !node.view.connected) return
    node.containers.clear()
    node.alive = false
    this.#disconnect(node)
    node.view.departed = true
    this.#show(node)
  }

  failContainer(index: number): void {
    for (const container of this.#node(index)?.containers.values() ?? []) container.state = 'failed'
  }

  /** All memory is lost; the disk stays. */
  crashCoordinator(): void {
    this.#leases = new Map()
    for (const node of this.nodes.values()) {
      this.#disconnect(node)
      node.view.departed = false
    }
    this.#settledAtMs = undefined
    this.#windowEndMs = this.nowMs + 60_000
    this.#startPlanner()
  }

  /** One second: nodes beat, coordinator plans; `effects` of the plan happen, then it is cut off. */
  step(effectsMax = Number.POSITIVE_INFINITY): void {
    this.nowMs += 1_000
    for (const [id, node] of this.nodes) this.#runNode(id, node)
    this.#settle()
    this.#planner?.tick(this.nowMs)
    let effects = effectsMax
    for (let round = 0; round < 8; round++) {
      const { actions } = this.#planner ? this.#planChanges(this.#planner) : this.plan()
      let changed = false
      for (const action of actions) {
        if (effects-- <= 0) return
        changed = this.#apply(action) || changed
      }
      if (!changed && !this.#planner?.hasNews) break
    }
    this.#checkWorld()
  }

  #planChanges(planner: Planner): SlotsPlan {
    const { groups: _, nodes: __, ...input } = this.#input()
    return planner.plan(input)
  }

  /** Of everything. */
  plan(): SlotsPlan {
    return planSlots(this.#input())
  }

  #input(): SlotsInput {
    return {
      nowMs: this.nowMs,
      settled: this.#settledAtMs !== undefined,
      groups: this.groups,
      slots: this.slots,
      nodes: this.#views,
      leaseEndMs: (slot) => this.#leaseEnd(slot),
      isRetired: (group) => this.#retired.has(group),
      numbers,
      ...(this.minRunMs === undefined ? {} : { preemption: { minRunMs: this.minRunMs } }),
    }
  }

  running(group: GroupId): number {
    let count = 0
    for (const { placement } of this.slots.values()) {
      if (!placement) continue
      const container = this.nodes.get(placement.node)?.containers
      for (const [slot, { fence, state }] of container ?? []) {
        const isIt = compareFence(fence, placement.fence) === 0 && state === 'running'
        if (isIt && parseSlotId(slot).group === group && slot === slotOf(this, placement)) count++
      }
    }
    return count
  }

  containersOf(group: GroupId): number {
    return [...this.nodes.values()]
      .flatMap(({ containers }) => [...containers.keys()])
      .filter((slot) => parseSlotId(slot).group === group).length
  }

  #node(index: number): ModelNode | undefined {
    return [...this.nodes.values()][index % Math.max(1, this.nodes.size)]
  }

  #away(node: PeerId): ModelNode['view'] {
    return {
      ...{ node, household: node, connected: false, departed: false, banned: false, keys: 0 },
      ...{ bundles: new Set(), held: new Map(), acknowledged: new Map(), refusals: new Map() },
    }
  }

  #disconnect(node: ModelNode): void {
    const { departed } = node.view
    node.view = { ...this.#away(node.view.node), departed }
    node.pendingOrders = []
    node.pendingRevokes = []
    this.#show(node)
  }

  #settle(): void {
    if (this.#settledAtMs !== undefined) return
    const waiting = [...this.slots.values()].some(
      ({ placement }) => placement && !this.nodes.get(placement.node)?.view.connected,
    )
    if (!waiting || this.nowMs >= this.#windowEndMs) this.#settledAtMs = this.nowMs
  }

  #leaseEnd(slot: SlotId): number {
    const fence = this.slots.get(slot)?.placement?.fence
    const lease = this.#leases.get(slot)
    if (fence && lease && compareFence(lease.fence, fence) === 0) return lease.endMs
    return (this.#settledAtMs ?? this.#windowEndMs) + numbers.leaseMs
  }

  #runNode(id: PeerId, node: ModelNode): void {
    // The guard: what was not renewed ends.
    for (const [slot, { leaseEndMs }] of node.containers) {
      if (this.nowMs > leaseEndMs + numbers.guardMs) node.containers.delete(slot)
    }
    if (!node.alive || node.cut) return
    if (!node.view.connected) this.#hello(id, node)
    for (const { slot, fence } of node.pendingRevokes.splice(0)) {
      const held = node.containers.get(slot)
      if (held && compareFence(held.fence, fence) <= 0) node.containers.delete(slot)
    }
    for (const { slot, placement } of node.pendingOrders.splice(0))
      this.#take(node, slot, placement)
    for (const container of node.containers.values()) {
      if (container.state === 'accepted') container.state = 'running'
    }
    if (this.nowMs - node.lastBeatMs >= beatMs) this.#beat(id, node)
  }

  #hello(id: PeerId, node: ModelNode): void {
    node.view = {
      ...this.#away(id),
      connected: true,
      helloMs: this.nowMs,
      keys: 32,
      capacity: {
        ...{ milliCpus: node.capacityMilliCpus, memoryBytes: 100, storageBytes: 100, gpus: [] },
        ...{ region: 'local', versions: {}, allocationsMax: 4, envAllowed: true },
      },
    }
    this.#beat(id, node)
    this.#show(node)
  }

  #take(node: ModelNode, slot: SlotId, placement: Placement): void {
    const seen = node.memory.get(slot)
    const { fence, instance } = placement
    if (seen && compareFence(fence, seen) <= 0) return
    if (this.nowMs > placement.acceptUntilMs) return
    const before = node.containers.get(slot)
    const state = before?.instance === instance ? before.state : 'accepted'
    node.memory.set(slot, fence)
    node.containers.set(slot, { fence, instance, state, leaseEndMs: placement.acceptUntilMs })
  }

  #beat(id: PeerId, node: ModelNode): void {
    node.lastBeatMs = this.nowMs
    const before = JSON.stringify([...node.view.held])
    const held = new Map<SlotId, Held>()
    const acknowledged = new Map(node.view.acknowledged)
    for (const [slot, container] of node.containers) {
      const { fence, instance, state } = container
      const counters = { restarts: 0, bytesTotal: 0, bytesDone: 0 }
      const sources = { bytesFromCaches: 0, bytesFromPeers: 0, bytesServed: 0 }
      const report = { slot, ...fence, instance, state, ...counters, ...sources }
      held.set(slot, { fence, report })
      acknowledged.set(slot, fence)
      const placement = this.slots.get(slot)?.placement
      const isNewest = placement?.node === id && compareFence(placement.fence, fence) === 0
      const isUpdating = this.#isUpdating(slot, fence)
      if (isUpdating && !isFinal(state)) container.leaseEndMs = this.nowMs + numbers.leaseMs
      if (!isNewest || isFinal(state)) continue
      const endMs = this.nowMs + numbers.leaseMs
      this.#leases.set(slot, { fence, endMs })
      container.leaseEndMs = endMs
    }
    node.view.held = held
    if (JSON.stringify([...held]) !== before) this.#show(node)
    node.view.acknowledged = acknowledged
  }

  #apply(action: ReturnType<typeof planSlots>['actions'][number]): boolean {
    if (action.do === 'forget') {
      this.#retired.add(action.group)
      this.groups.delete(action.group)
      for (const slot of [...this.slots.keys()]) {
        if (parseSlotId(slot).group === action.group) this.slots.delete(slot)
      }
      this.#planner?.touchGroup(action.group)
      return true
    }
    const { slot } = action
    const record = this.slots.get(slot) ?? emptySlot(slot)
    if (action.do === 'revoke') {
      this.nodes.get(action.node)?.pendingRevokes.push({ slot, fence: action.fence })
      return false
    }
    if (action.do === 'redeliver') {
      if (record.placement) this.#send(slot, record.placement)
      return false
    }
    const version = this.groups.get(parseSlotId(slot).group)?.version ?? 0
    const leaseEndMs = this.#leaseEnd(slot)
    const context = { nowMs: this.nowMs, wallMs: 0, leaseEndMs, version }
    if (action.do !== 'allocate' && action.do !== 'readopt') {
      const next = applyAction(record, action, context)
      if (next !== record) this.#put(next)
      return next !== record
    }
    const from = action.do === 'readopt' ? action.from : undefined
    const placement: Placement = {
      ...{
        fence: nextFence(record, term),
        node: from?.node ?? ('node' in action ? action.node : ('' as PeerId)),
      },
      instance: from?.instance ?? (`instance-${this.#instances++}` as InstanceId),
      ...{ version, bundle, order: { payload: nothing, signature: nothing } },
      resources: { milliCpus: 1_000, memoryBytes: 1, storageBytes: 1, shmBytes: 0, gpuUuids: [] },
      ...{ issuedMs: this.nowMs, acceptUntilMs: this.nowMs + numbers.leaseMs },
      ...{ state: 'ordered', stateSinceMs: 0 },
    }
    const beside = action.do === 'allocate' && action.beside
    if (action.do === 'allocate' && !beside) this.#checkNoLiveLease(slot)
    this.#put(withPlacement(record, placement, context, { beside }))
    this.#leases.set(slot, { fence: placement.fence, endMs: placement.acceptUntilMs })
    const all = this.handedOut.get(slot) ?? []
    const last = all.at(-1)
    if (last && compareFence(placement.fence, last) <= 0) {
      this.problems.push(`${slot}: epoch ${placement.fence.epoch} after ${last.epoch}`)
    }
    all.push(placement.fence)
    this.handedOut.set(slot, all)
    this.#send(slot, placement)
    return true
  }

  #send(slot: SlotId, placement: Placement): void {
    const node = this.nodes.get(placement.node)
    if (node?.view.connected) node.pendingOrders.push({ slot, placement })
  }

  /** Renewed until the newer version runs. */
  #isUpdating(slot: SlotId, fence: Fence): boolean {
    const record = this.slots.get(slot)
    const old = record?.leaving.find((one) => compareFence(one.fence, fence) === 0)
    return record !== undefined && old !== undefined && runsOn(old, record, true)
  }

  /** A slot is given away only when nobody holds a lease of it: the heart of the matter. */
  #checkNoLiveLease(slot: SlotId): void {
    for (const [id, { containers }] of this.nodes) {
      const container = containers.get(slot)
      if (!container || isFinal(container.state)) continue
      if (this.#isUpdating(slot, container.fence)) continue
      if (this.nowMs <= container.leaseEndMs) {
        this.problems.push(`${slot} was given away while ${id} held its lease`)
      }
    }
  }

  #checkWorld(): void {
    for (const [id, node] of this.nodes) {
      const groups = [...this.slots.values()]
        .filter(({ placement }) => placement?.node === id)
        .map(({ slot }) => parseSlotId(slot).group)
      if (new Set(groups).size < groups.length) this.problems.push(`${id} has a group twice`)
      if (groups.length * 1_000 > node.capacityMilliCpus) this.problems.push(`${id} is overfull`)
    }
  }
}

function slotOf(world: SlotWorld, placement: Placement): SlotId | undefined {
  for (const record of world.slots.values()) {
    if (record.placement === placement) return record.slot
  }
  return undefined
}
