/**
 * The slots' records: memory follows the disk and never leads it. Also the leases, which are memory
 * alone, and the groups whose slots were cleared, so that what shows up of them later is stopped.
 */
import Type from 'typebox'
import { type Fence, type GroupId, parseSlotId, type SlotId } from '../../protocol/ids.ts'
import { collection, type Store } from '../../protocol/store/index.ts'
import { CountSchema } from '../../protocol/wire/index.ts'
import type { AuditAct, AuditRecorder } from '../audit/index.ts'
import { type SlotRecord, SlotRecordSchema } from '../slots/index.ts'

export interface SlotBook {
  readonly slots: ReadonlyMap<SlotId, SlotRecord>
  of(group: GroupId): readonly SlotRecord[]
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
  const retiredGroups = new Set<GroupId>()
  const changing = new Set<SlotId>()
  const leases = new Map<SlotId, Readonly<{ fence: Fence; endMs: number }>>()

  const put = (record: SlotRecord): void => {
    slots.set(record.slot, record)
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
        slots.delete(slot)
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
