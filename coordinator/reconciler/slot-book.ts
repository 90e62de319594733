/**
 * The slots' records: memory follows the disk and never leads it. Also the leases, which are memory
 * alone, and the groups whose slots were cleared, so that what shows up of them later is stopped.
 */
import Type from 'typebox'
import {
  type BundleId,
  type Fence,
  type GroupId,
  type PeerId,
  parseSlotId,
  type SlotId,
} from '../../protocol/ids.ts'
import { collection, type Store } from '../../protocol/store/index.ts'
import { CountSchema } from '../../protocol/wire/index.ts'
import type { AuditAct, AuditRecorder } from '../audit/index.ts'
import { type SlotRecord, SlotRecordSchema } from '../slots/index.ts'
import { nodesOf } from './plan-index.ts'

export interface SlotBook {
  readonly slots: ReadonlyMap<SlotId, SlotRecord>
  of(group: GroupId): readonly SlotRecord[]
  /** How many records the group has. */
  sizeOf(group: GroupId): number
  /** Groups that have records. */
  groups(): Iterable<GroupId>
  /** Records that have a placement or something leaving on the node. */
  on(node: PeerId): Iterable<SlotRecord>
  /** Bundles of all that is placed or leaving. */
  readonly bundles: ReadonlyMap<BundleId, number>
  /** Slots whose newest epoch is on its way to running. */
  readonly starting: ReadonlySet<SlotId>
  /** Called after each durable change of a record, `next` absent when it was cleared. */
  onChange(listener: (next: SlotRecord | undefined, before: SlotRecord | undefined) => void): void
  /** Records with an older epoch that may still run somewhere: few, among a million. */
  withLeaving(): readonly SlotRecord[]
  /** Slots whose record is on its way to the disk: nothing of them is renewed meanwhile. */
  readonly changing: ReadonlySet<SlotId>
  /** Nothing of these is renewed from now on, until `commit` or `unmark`. */
  mark(slots: Iterable<SlotId>): void
  unmark(): void
  /** All records or none, with the acts that they are; durable when it resolves. */
  commit(records: readonly SlotRecord[], acts?: readonly AuditAct[]): Promise<void>
  isRetired(group: GroupId): boolean
  /** Clears the group's slots for good. */
  retire(group: GroupId, wallMs: number): Promise<void>
  /** When the newest lease of the slot ends; undefined: not known since the start. */
  leaseOf(slot: SlotId, fence: Fence): number | undefined
  setLease(slot: SlotId, fence: Fence, endMs: number): void
}

/** @param parts.audit absent: nothing is recorded, as in tests. */
export async function openSlotBook({
  store,
  audit = { record: (_acts, operations = []) => store.batch(operations) },
}: Readonly<{ store: Store; audit?: AuditRecorder }>): Promise<SlotBook> {
  const records = collection(store, 'slots', SlotRecordSchema)
  const retired = collection(store, 'retired-groups', Type.Object({ atMs: CountSchema() }))
  const slots = new Map<SlotId, SlotRecord>()
  const byGroup = new Map<GroupId, Map<SlotId, SlotRecord>>()
  const leaving = new Set<SlotId>()
  const retiredGroups = new Set<GroupId>()
  const changing = new Set<SlotId>()
  const leases = new Map<SlotId, Readonly<{ fence: Fence; endMs: number }>>()

  const byNode = new Map<PeerId, Map<SlotId, SlotRecord>>()
  const bundles = new Map<BundleId, number>()
  const starting = new Set<SlotId>()
  const listeners: Parameters<SlotBook['onChange']>[0][] = []

  const count = (record: SlotRecord | undefined, by: 1 | -1): void => {
    for (const { bundle } of record ? placementsOf(record) : []) {
      const left = (bundles.get(bundle) ?? 0) + by
      if (left > 0) bundles.set(bundle, left)
      else bundles.delete(bundle)
    }
  }
  const index = (next: SlotRecord | undefined, before: SlotRecord | undefined): void => {
    const slot = (next ?? before)?.slot
    if (slot === undefined) return
    for (const node of before ? nodesOf(before) : []) {
      const own = byNode.get(node)
      own?.delete(slot)
      if (own?.size === 0) byNode.delete(node)
    }
    for (const node of next ? nodesOf(next) : []) {
      const own = byNode.get(node) ?? new Map<SlotId, SlotRecord>()
      if (next) own.set(slot, next)
      byNode.set(node, own)
    }
    count(next, 1)
    count(before, -1)
    const state = next?.placement?.state
    if (state === 'ordered' || state === 'accepted' || state === 'downloading') starting.add(slot)
    else starting.delete(slot)
    for (const listener of listeners) listener(next, before)
  }
  const put = (record: SlotRecord): void => {
    const before = slots.get(record.slot)
    slots.set(record.slot, record)
    index(record, before)
    if (record.leaving.length > 0) leaving.add(record.slot)
    else leaving.delete(record.slot)
    const { group } = parseSlotId(record.slot)
    const own = byGroup.get(group) ?? new Map<SlotId, SlotRecord>()
    own.set(record.slot, record)
    byGroup.set(group, own)
  }
  for await (const [, record] of records.entries()) put(record)
  for await (const [group] of retired.entries()) retiredGroups.add(group as GroupId)

  return {
    slots,
    of: (group) => [...(byGroup.get(group)?.values() ?? [])],
    sizeOf: (group) => byGroup.get(group)?.size ?? 0,
    groups: () => byGroup.keys(),
    on: (node) => byNode.get(node)?.values() ?? [],
    bundles,
    starting,
    onChange: (listener) => listeners.push(listener),
    withLeaving: () => [...leaving].flatMap((slot) => slots.get(slot) ?? []),
    changing,
    mark(marked) {
      for (const slot of marked) changing.add(slot)
    },
    unmark: () => changing.clear(),
    async commit(changed, acts = []) {
      const operations = changed.map((record) => records.putOperation(record.slot, record))
      await audit.record(acts, operations)
      for (const record of changed) put(record)
    },
    isRetired: (group) => retiredGroups.has(group),
    async retire(group, wallMs) {
      const own = [...(byGroup.get(group)?.keys() ?? [])]
      await store.batch([
        retired.putOperation(group, { atMs: wallMs }),
        ...own.map((slot) => records.deleteOperation(slot)),
      ])
      retiredGroups.add(group)
      byGroup.delete(group)
      for (const slot of own) {
        index(undefined, slots.get(slot))
        slots.delete(slot)
        leaving.delete(slot)
        leases.delete(slot)
      }
    },
    leaseOf(slot, fence) {
      const lease = leases.get(slot)
      const isIt = lease?.fence.term === fence.term && lease.fence.epoch === fence.epoch
      return isIt ? lease.endMs : undefined
    },
    setLease: (slot, fence, endMs) => leases.set(slot, { fence, endMs }),
  }
}

function placementsOf({ placement, leaving }: SlotRecord) {
  return placement ? [placement, ...leaving] : leaving
}
