/** Queues and jobs as a service: what is acknowledged outlives a restart, and nothing is unbounded. */
import { expect } from 'chai'
import fc from 'fast-check'
import { errorCode } from '../../protocol/errors.ts'
import { createMemoryStore, type Store } from '../../protocol/store/index.ts'
import { otherProject, scope } from '../groups/groups.fixture.ts'
import { createQueues, type JobsInit, openJobs, type Queues } from './index.ts'

async function open(store: Store, init: JobsInit = {}, queuesMax?: number): Promise<Queues> {
  const jobs = await openJobs(init, { store })
  return createQueues(queuesMax === undefined ? {} : { queuesMax }, { store, jobs })
}

const named = (name: string) => ({ name, displayName: name, description: '' })
const codeOf = (work: Promise<unknown>): Promise<string | undefined> =>
  work.then(() => undefined, errorCode)

describe('coordinator/queues', () => {
  let store: Store
  let queues: Queues
  beforeEach(async () => {
    store = createMemoryStore()
    queues = await open(store)
  })

  it('gives a name once a project, also to two who ask at once', async () => {
    const [first, second] = await Promise.allSettled([
      queues.create(scope, named('work')),
      queues.create(scope, named('work')),
    ])
    expect([first.status, second.status]).to.deep.equal(['fulfilled', 'rejected'])
    await queues.create(otherProject, named('work'))
    expect(queues.list(scope).map(({ name }) => name)).to.deep.equal(['work'])
    expect(await codeOf(queues.create(scope, named('work')))).to.equal('QUEUE_NAME_TAKEN')
  })

  it('has a bound on queues and on jobs', async () => {
    const small = await open(store, { unfinishedMax: 2 }, 2)
    const { id } = await small.create(scope, named('aa'))
    await small.create(scope, named('bb'))
    expect(await codeOf(small.create(scope, named('cc')))).to.equal('QUEUE_QUOTA_EXCEEDED')
    const made = [1, 2, 3].map((input) => small.jobs.create(id, { input }))
    expect(await Promise.all(made.map(codeOf))).to.deep.equal([undefined, undefined, 'QUEUE_FULL'])
    const { items } = await small.jobs.list(id, { page: 1, pageSize: 1 })
    await small.jobs.cancel(id, items[0]?.head.id ?? '')
    await small.jobs.create(id, { input: 4 })
  })

  it('forgets the finished that are oldest, and no job that is not finished', async () => {
    const small = await open(store, { finishedMax: 2 })
    const { id } = await small.create(scope, named('work'))
    const made = []
    for (const input of [1, 2, 3, 4, 5]) made.push(await small.jobs.create(id, { input }))
    for (const { head } of [made[3], made[1], made[2]].flatMap((job) => job ?? [])) {
      await small.jobs.cancel(id, head.id)
    }
    const seen = async (from: Queues) =>
      (await from.jobs.list(id, { page: 1, pageSize: 10 })).items.map(({ input }) => input)
    expect(await seen(small)).to.deep.equal([5, 4, 3, 1])
    expect(await seen(await open(store))).to.deep.equal([5, 4, 3, 1])
  })

  it('holds a bounded number of bytes, for which the finished go first', async () => {
    const small = await open(store, { bytesMax: 30 })
    const { id } = await small.create(scope, named('work'))
    const text = (letter: string) => ({ input: letter.repeat(8) }) // 10 bytes of JSON
    const [first, second] = [
      await small.jobs.create(id, text('a')),
      await small.jobs.create(id, text('b')),
    ]
    await small.jobs.create(id, text('c'))
    expect(await codeOf(small.jobs.create(id, text('d')))).to.equal('QUEUE_FULL')
    await small.jobs.cancel(id, second.head.id)
    await small.jobs.create(id, text('d'))
    expect(await codeOf(small.jobs.get(id, second.head.id))).to.equal('JOB_NOT_FOUND')
    expect((await small.jobs.get(id, first.head.id)).input).to.equal('aaaaaaaa')
    const after = await open(store, { bytesMax: 30 })
    expect(await codeOf(after.jobs.create(id, text('e')))).to.equal('QUEUE_FULL')
    expect(await codeOf(after.jobs.create(id, { input: 'x'.repeat(40) }))).to.equal('QUEUE_FULL')
  })

  it('does not delete a queue that a group serves, or is about to', async () => {
    await queues.create(scope, named('work'))
    const used = queues.delete(scope, 'work', () => ['hello'])
    expect(await codeOf(used)).to.equal('QUEUE_IN_USE')
    const { promise, resolve } = Promise.withResolvers<void>()
    const held = queues.hold(scope, 'work', () => promise)
    expect(await codeOf(queues.delete(scope, 'work', () => []))).to.equal('QUEUE_IN_USE')
    resolve()
    await held
    await queues.delete(scope, 'work', () => [])
    expect(await codeOf(queues.hold(scope, 'work', async () => {}))).to.equal('QUEUE_NOT_FOUND')
  })

  it('deletes with all jobs, those that arrive meanwhile too, and ends what a crash cut short', async () => {
    const { id } = await queues.create(scope, named('work'))
    const { promise: written, resolve: write } = Promise.withResolvers<void>()
    const batch = store.batch.bind(store)
    store.batch = async (operations) => {
      const isJob = operations.some(({ type, key }) => type === 'put' && /^queue-jobs/.test(key))
      if (isJob) await written
      await batch(operations)
    }
    const arriving = queues.jobs.create(id, { input: 'late' })
    const deleted = queues.delete(scope, 'work', () => [])
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    write()
    await Promise.all([arriving, deleted])
    const keys = async (): Promise<string[]> => {
      const found: string[] = []
      for await (const [key] of store.entries()) if (key.startsWith('queue')) found.push(key)
      return found
    }
    expect(await keys()).to.deep.equal([])

    const { id: next } = await queues.create(scope, named('work'))
    await queues.jobs.create(next, { input: 1 })
    queues.jobs.drop = () => Promise.reject(new Error('killed'))
    await codeOf(queues.delete(scope, 'work', () => []))
    expect(await keys()).to.have.length(3)
    expect((await open(store)).list(scope)).to.deep.equal([])
    expect(await keys()).to.deep.equal([])
  })

  it('loses no change of two that are made at once', async () => {
    await queues.create(scope, named('work'))
    await Promise.all([
      queues.update(scope, 'work', { displayName: 'New' }),
      queues.update(scope, 'work', { description: 'what it is for' }),
    ])
    const after = (await open(store)).get(scope, 'work')
    expect(after).to.include({ displayName: 'New', description: 'what it is for' })
  })

  it('keeps any JSON as it came, in the order in which it came, over a restart', async () => {
    const inputs = fc.array(fc.record({ input: fc.jsonValue(), cancels: fc.boolean() }), {
      maxLength: 12,
    })
    await fc.assert(
      fc.asyncProperty(inputs, fc.integer({ min: 1, max: 5 }), async (jobs, pageSize) => {
        const disk = createMemoryStore()
        const before = await open(disk)
        const { id } = await before.create(scope, named('work'))
        const made = await Promise.all(jobs.map(({ input }) => before.jobs.create(id, { input })))
        for (const [index, { cancels }] of jobs.entries()) {
          if (cancels) await before.jobs.cancel(id, made[index]?.head.id ?? '')
        }
        const after = await open(disk)
        const listed = []
        for (let page = 1; ; page++) {
          const { items, total } = await after.jobs.list(id, { page, pageSize })
          expect(total).to.equal(jobs.length)
          if (items.length === 0) break
          listed.push(...items)
        }
        const newestFirst = jobs.toReversed()
        // As JSON knows them: it has no negative zero.
        const plain = newestFirst.map(({ input }) => JSON.parse(JSON.stringify(input)))
        expect(listed.map(({ input }) => input)).to.deep.equal(plain)
        expect(listed.map(({ head }) => head.state)).to.deep.equal(
          newestFirst.map(({ cancels }) => (cancels ? 'cancelled' : 'pending')),
        )
        expect(after.jobs.lengthOf(id)).to.equal(jobs.filter(({ cancels }) => !cancels).length)
        const { head } = await after.jobs.create(id, { input: null })
        expect(head.seq).to.equal(jobs.length + 1)
      }),
      { numRuns: 50 },
    )
  })

  it('refuses a page that would take too much memory, and shows each job in a smaller one', async () => {
    const small = await open(store, { pageBytesMax: 100 })
    const { id } = await small.create(scope, named('work'))
    for (let count = 0; count < 3; count++) await small.jobs.create(id, { input: 'x'.repeat(90) })
    const page = (pageSize: number) => small.jobs.list(id, { page: 1, pageSize })
    expect(await codeOf(page(3))).to.equal('PAGE_TOO_LARGE')
    expect((await page(1)).items).to.have.length(1)
  })

  it('knows a job in its own queue only', async () => {
    const { id } = await queues.create(scope, named('work'))
    const { id: other } = await queues.create(scope, named('other'))
    const { head } = await queues.jobs.create(id, { input: 1 })
    expect(await codeOf(queues.jobs.get(other, head.id))).to.equal('JOB_NOT_FOUND')
    expect(await codeOf(queues.jobs.cancel(other, head.id))).to.equal('JOB_NOT_FOUND')
    expect((await queues.jobs.cancel(id, head.id)).state).to.equal('cancelled')
    expect((await queues.jobs.cancel(id, head.id)).events).to.have.length(2)
  })
})
