/** Which events are told of what, and that they outlive a restart without being told twice. */
import { expect } from 'chai'
import { FakeClock } from '../../protocol/clock.ts'
import type { GroupId, InstanceId, PeerId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { newerVersionReason } from '../../protocol/orders/index.ts'
import { createMemoryStore, type Store } from '../../protocol/store/index.ts'
import { groupInput, openGroups, scope } from '../groups/groups.fixture.ts'
import type { Groups } from '../groups/index.ts'
import type { Leaving, Placement, SlotRecord } from '../slots/index.ts'
import { openSystemLog, type SystemLog } from './index.ts'
import { slotEvents } from './slot-events.ts'
import { eventsMax } from './system-log.ts'

const group = '00000000-0000-4000-8000-000000000001' as GroupId
const instanceOf = (number: number) => `00000000-0000-4000-8000-00000000000${number}` as InstanceId

function placed(changes: Partial<Placement> = {}): Placement {
  return {
    fence: { term: 1, epoch: 1 },
    node: 'node-a' as PeerId,
    instance: instanceOf(1),
    state: 'ordered',
    ...changes,
  } as Placement
}

function slot(changes: Partial<SlotRecord> = {}): SlotRecord {
  const record = { slot: `${group}/0` as SlotRecord['slot'], leaving: [], failures: 0 }
  return { ...record, notBeforeMs: 0, exclusions: [], ...changes }
}

const left = (reason: string, why: Leaving['why'] = 'revoked'): readonly Leaving[] => [
  { ...placed(), why, reason, sinceMs: 0, leaseEndMs: 0 },
]
const namesOf = (before: SlotRecord | undefined, after: SlotRecord): readonly string[] =>
  slotEvents(before, after).map(({ name }) => name)

describe('coordinator/system-log', () => {
  it('names what happens to a slot as SaladCloud does', () => {
    const was = slot({ placement: placed({ state: 'running' }) })
    const fault = (message: string) => ({
      fault: { code: 'CONTAINER_FAILED', message },
      failures: 1,
    })
    const cases: readonly (readonly [SlotRecord | undefined, SlotRecord, readonly string[]])[] = [
      [undefined, slot({ placement: placed() }), ['Instance Allocated']],
      [was, was, []],
      [
        slot({ placement: placed() }),
        slot({ placement: placed({ state: 'downloading' }) }),
        ['Instance Downloading'],
      ],
      [slot({ placement: placed({ state: 'creating' }) }), was, ['Instance Running']],
      [was, slot({ placement: placed({ state: 'restarting' }) }), ['Instance Restarted']],
      [
        was,
        slot({ placement: placed({ instance: instanceOf(2) }) }),
        ['Instance Recreated', 'Instance Allocated'],
      ],
      [
        was,
        slot({ placement: placed({ fence: { term: 1, epoch: 2 } as never, state: 'running' }) }),
        [],
      ],
      [
        was,
        slot({ leaving: [...left('reallocated by the tenant')] }),
        ['Instance Reallocated by User'],
      ],
      [
        was,
        slot({ leaving: [...left('the lease ran out', 'lapsed')] }),
        ['Instance Interrupted (Node Offline)'],
      ],
      [
        was,
        slot({ leaving: [...left('preempted by a higher priority')] }),
        ['Instance Interrupted (Priority)'],
      ],
      [was, slot({ leaving: [...left('no longer wanted')] }), []],
      [was, slot({ leaving: [...left(newerVersionReason)] }), []],
      [
        was,
        slot({ finished: { exitCode: 0, version: 1 } }),
        ['Instance Exited:0 (Exited Successfully)'],
      ],
      [was, slot(fault('the container exited with 3')), ['Instance Exited:3 (Error)']],
      [
        was,
        slot(fault('the container exited with 137')),
        ['Instance Exited:137 (Likely Out of System Memory)'],
      ],
      [was, slot(fault('the image cannot be loaded')), ['Instance Reallocated by Platform']],
    ]
    for (const [before, after, names] of cases) {
      expect(namesOf(before, after), JSON.stringify(after)).to.deep.equal(names)
    }
  })

  describe('kept', () => {
    let store: Store
    let clock: FakeClock
    let groups: Groups
    let log: SystemLog
    const open = async () => {
      groups = await openGroups(store)
      clock = new FakeClock()
      return openSystemLog({ store, groups, clock, wallMs: () => 1, logger: silentLogger })
    }
    const names = (id: GroupId) => log.of(id).map(({ name }) => name)
    beforeEach(async () => {
      store = createMemoryStore()
      log = await open()
    })
    afterEach(() => log.stop())

    it('tells what becomes of a group, newest first', async () => {
      const { id } = await groups.create(scope, groupInput())
      await groups.update(scope, 'hello', () => ({ displayName: 'Other' }))
      await groups.update(scope, 'hello', () => ({ replicas: 5 }))
      await groups.update(scope, 'hello', () => ({ container: { command: ['a'] } }))
      await groups.stop(scope, 'hello')
      expect(names(id)).to.deep.equal([
        'Container Group Stopped',
        'Container Group Updated (Version 2)',
        'Container Group Desired Replica Count Updated from 3 to 5',
        'Container Group Started',
      ])
    })

    it('outlives a restart, and tells nothing twice', async () => {
      const { id } = await groups.create(scope, groupInput())
      const record = { ...slot({ placement: placed() }), slot: `${id}/0` as SlotRecord['slot'] }
      log.onSlot(undefined, record)
      await clock.advance(1_000)
      const before = log.of(id)
      expect(before[0]).to.include({ name: 'Instance Allocated', instance: instanceOf(1) })
      log = await open()
      expect(log.of(id)).to.deep.equal(before)
    })

    it('keeps a bounded number, and nothing of a group that is gone', async () => {
      const { id } = await groups.create(scope, groupInput())
      const record = { ...slot({ placement: placed() }), slot: `${id}/0` as SlotRecord['slot'] }
      for (let count = 0; count < 2 * eventsMax; count++) log.onSlot(undefined, record)
      expect(log.of(id)).to.have.length(eventsMax)
      await log.stop()
      log = await open()
      expect(log.of(id)).to.have.length(eventsMax)
      await groups.delete(scope, 'hello')
      log.onSlot(undefined, record)
      await log.stop()
      const kept: string[] = []
      for await (const [key] of store.entries({ prefix: 'system-log/' })) kept.push(key)
      expect(kept).to.deep.equal([])
    })
  })
})
