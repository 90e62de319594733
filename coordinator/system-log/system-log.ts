/**
 * The last events of each group, for tenants to look at: what was started, where, and why it ended.
 * A log and no record: it is written some time after the event, and a crash may take the last second
 * of it. Nothing is decided by it.
 */
import Type, { type Static } from 'typebox'
import type { Clock } from '../../protocol/clock.ts'
import { describeError } from '../../protocol/errors.ts'
import { type GroupId, parseSlotId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { collection, type Store } from '../../protocol/store/index.ts'
import {
  CountSchema,
  InstanceIdSchema,
  ListSchema,
  TextSchema,
  UuidSchema,
} from '../../protocol/wire/index.ts'
import { type GroupRecord, type Groups, gpuClassById, machineIdOf } from '../groups/index.ts'
import type { SlotRecord } from '../slots/index.ts'
import { type GroupFacts, groupEvents } from './group-events.ts'
import { slotEvents } from './slot-events.ts'

/** As many as the contract shows. */
export const eventsMax = 50

const SystemEventSchema = Type.Object({
  name: TextSchema(255),
  atMs: CountSchema(),
  version: CountSchema(),
  instance: Type.Optional(InstanceIdSchema),
  machine: Type.Optional(UuidSchema),
  milliCpus: CountSchema(),
  memoryBytes: CountSchema(),
  storageBytes: CountSchema(),
  /** Names of the classes that would have done. */
  gpuClass: TextSchema(8_192),
})
export type SystemEvent = Readonly<Static<typeof SystemEventSchema>>

/** `facts`: what was last told of the group, so that a restart tells nothing twice. */
const GroupLogSchema = Type.Object({
  events: ListSchema(SystemEventSchema, eventsMax),
  facts: Type.Object({
    desired: Type.Union([Type.Literal('running'), Type.Literal('stopped')]),
    replicas: CountSchema(),
    version: CountSchema(),
  }),
})
type GroupLog = Readonly<{ events: readonly SystemEvent[]; facts: GroupFacts }>

export interface SystemLog {
  /** Newest first. */
  of(group: GroupId): readonly SystemEvent[]
  /** A slot's record has become durable. */
  onSlot(before: SlotRecord | undefined, after: SlotRecord): void
  /** Writes what is left. */
  stop(): Promise<void>
}

export type SystemLogComponents = Readonly<{
  store: Store
  groups: Pick<Groups, 'byId' | 'all' | 'onChange'>
  clock: Clock
  /** For display. */
  wallMs: () => number
  logger: Logger
}>

/** One write for all that happens meanwhile: a thousand starts are thousands of events. */
const flushMs = 1_000

export async function openSystemLog(components: SystemLogComponents): Promise<SystemLog> {
  const { store, groups, clock, wallMs, logger } = components
  const records = collection(store, 'system-log', GroupLogSchema)
  const logs = new Map<GroupId, GroupLog>()
  const dirty = new Set<GroupId>()
  const stopped = new AbortController()
  let writing: Promise<void> | undefined

  for await (const [id, log] of records.entries()) logs.set(id as GroupId, log)

  const flush = async (): Promise<void> => {
    const changed = [...dirty]
    dirty.clear()
    await store.batch(
      changed.map((id) => {
        const log = logs.get(id)
        return log
          ? records.putOperation(id, { ...log, events: [...log.events] })
          : records.deleteOperation(id)
      }),
    )
  }
  const flushSoon = (): void => {
    writing ??= clock
      .sleep(flushMs, { signal: stopped.signal })
      .then(flush, () => undefined)
      .catch((error: unknown) => {
        logger.warn({ error: describeError(error) }, 'system events could not be written')
      })
      .finally(() => {
        writing = undefined
        if (dirty.size > 0 && !stopped.signal.aborted) flushSoon()
      })
  }
  const add = (group: GroupRecord, events: readonly Partial<SystemEvent>[]): void => {
    const old = logs.get(group.id)
    const { desired, replicas, version } = group
    const shared = { ...sizeOf(group), atMs: wallMs(), version }
    const added = events.map((event) => ({ name: '', ...shared, ...event }))
    logs.set(group.id, {
      events: [...(old?.events ?? []), ...added].slice(-eventsMax),
      facts: { desired, replicas, version },
    })
    dirty.add(group.id)
    flushSoon()
  }
  const look = (id: GroupId): void => {
    const group = groups.byId(id)
    if (!group || group.deletedMs !== undefined) {
      if (logs.delete(id)) {
        dirty.add(id)
        flushSoon()
      }
      return
    }
    const names = groupEvents(logs.get(id)?.facts, group)
    if (names.length > 0 || !logs.has(id))
      add(
        group,
        names.map((name) => ({ name })),
      )
  }

  for (const id of [...logs.keys(), ...groups.all().map((group) => group.id)]) look(id)
  const stopListening = groups.onChange(look)

  return {
    of: (group) => (logs.get(group)?.events ?? []).toReversed(),
    onSlot(before, after) {
      const events = slotEvents(before, after)
      const group = events.length > 0 ? groups.byId(parseSlotId(after.slot).group) : undefined
      if (!group || group.deletedMs !== undefined) return
      add(
        group,
        events.map(({ name, instance, node }) => ({ name, instance, machine: machineIdOf(node) })),
      )
    },
    async stop() {
      stopListening()
      stopped.abort()
      await writing
      if (dirty.size > 0) await flush()
    },
  }
}

function sizeOf({ container }: GroupRecord) {
  const { milliCpus, memoryBytes, storageBytes, gpuClasses } = container
  const names = gpuClasses.map((id) => gpuClassById(id)?.name ?? id)
  return { milliCpus, memoryBytes, storageBytes, gpuClass: names.join(', ') }
}
