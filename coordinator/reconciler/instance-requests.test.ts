/** What tenants ask of an instance, done to the record that it has by then. */
import { expect } from 'chai'
import { errorCode } from '../../protocol/errors.ts'
import type { GroupId, InstanceId, PeerId, SlotId } from '../../protocol/ids.ts'
import { createMemoryStore } from '../../protocol/store/index.ts'
import type { SlotRecord } from '../slots/index.ts'
import { createInstanceRequests, reallocatedMs, withRequest } from './instance-requests.ts'
import { openSlotBook, type SlotBook } from './slot-book.ts'

const group = '00000000-0000-4000-8000-000000000001' as GroupId
const instance = '00000000-0000-4000-8000-000000000002' as InstanceId
const node = '12D3KooWGRUyUmLcYH9LPiJwjkWBNBVdQdzBq3VLUsrPBBuX4yqK' as PeerId
const context = { nowMs: 1_000, wallMs: 2_000, leaseEndMs: 16_000, version: 1 }

const record: SlotRecord = {
  slot: `${group}/0` as SlotId,
  fence: { term: 1, epoch: 3 } as NonNullable<SlotRecord['fence']>,
  placement: {
    fence: { term: 1, epoch: 3 } as NonNullable<SlotRecord['fence']>,
    ...{ node, instance, version: 1, bundle: 'b'.repeat(64) as never },
    resources: { milliCpus: 1, memoryBytes: 1, storageBytes: 1, shmBytes: 0, gpuUuids: [] },
    order: { payload: new Uint8Array(1), signature: new Uint8Array(64) },
    ...{ issuedMs: 1, acceptUntilMs: 2, state: 'running', stateSinceMs: 1 },
  },
  leaving: [],
  ...{ failures: 0, notBeforeMs: 0, exclusions: [] },
}

describe('coordinator/reconciler: requests about instances', () => {
  it('reallocates: the epoch must stop, and its node is kept out for two days', () => {
    const after = withRequest(record, { do: 'reallocate' }, context)
    expect(after.placement).to.equal(undefined)
    expect(after.fence).to.deep.equal(record.fence)
    expect(after.leaving[0]).to.include({ node, instance, why: 'revoked' })
    expect(after.exclusions).to.deep.equal([{ node, untilMs: 1_000 + reallocatedMs }])
  })

  it('sets a deletion cost, and nothing else', () => {
    const after = withRequest(record, { do: 'set-deletion-cost', cost: 7 }, context)
    expect(after).to.deep.equal({
      ...record,
      placement: { ...record.placement, deletionCost: 7 },
    })
  })

  describe('carried out', () => {
    let book: SlotBook
    let recreated: SlotRecord[]
    const open = () =>
      createInstanceRequests({
        book,
        contextOf: () => context,
        order: async (it) => {
          recreated.push(it)
        },
        kick: () => {},
      })
    const codeOf = (work: Promise<unknown>) => work.then(() => undefined, errorCode)
    beforeEach(async () => {
      recreated = []
      book = await openSlotBook({ store: createMemoryStore() })
      await book.commit([record])
    })

    it('acknowledges once the record is durable', async () => {
      const requests = open()
      const asked = requests.ask(instance, { do: 'set-deletion-cost', cost: 7 })
      expect(book.slots.get(record.slot)?.placement?.deletionCost).to.equal(undefined)
      expect(await requests.carryOut()).to.equal(true)
      await asked
      expect(book.slots.get(record.slot)?.placement?.deletionCost).to.equal(7)
      expect(await requests.carryOut()).to.equal(false)
    })

    it('tells who asks of one that is gone by then, or that its node cannot make anew', async () => {
      const requests = open()
      const first = requests.ask(instance, { do: 'reallocate' })
      const second = codeOf(requests.ask(instance, { do: 'reallocate' }))
      await requests.carryOut()
      await first
      expect(await second).to.equal('INSTANCE_GONE')

      await book.commit([record])
      const third = codeOf(requests.ask(instance, { do: 'recreate' }))
      await requests.carryOut()
      expect(await third).to.equal('INSTANCE_UNREACHABLE')
      expect(recreated).to.deep.equal([record])
    })

    it('leaves nobody waiting when the coordinator stops', async () => {
      const requests = open()
      const asked = codeOf(requests.ask(instance, { do: 'reallocate' }))
      requests.close(Object.assign(new Error('over'), { code: 'STOPPING' }))
      expect(await asked).to.equal('STOPPING')
      expect(await codeOf(requests.ask(instance, { do: 'reallocate' }))).to.equal('STOPPING')
    })
  })
})
