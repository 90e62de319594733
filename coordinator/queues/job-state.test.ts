/** Whatever is asked of a job in whatever order, its state and its events tell the same story. */
import { expect } from 'chai'
import fc from 'fast-check'
import { isFinished, type JobMove, moveJob } from './job-state.ts'
import { type JobHead, jobEventsMax } from './types.ts'

const created: JobHead = {
  id: '00000000-0000-4000-8000-000000000001',
  queueId: '00000000-0000-4000-8000-000000000002',
  ...{ seq: 1, state: 'pending', attempts: 0, bodyBytes: 1, createdMs: 1, updatedMs: 1 },
  events: [{ action: 'created', atMs: 1 }],
}
const lease = {
  receipt: '00000000-0000-4000-8000-000000000003',
  instance: '00000000-0000-4000-8000-000000000004',
  untilMs: 9,
}
const move = fc.constantFrom<JobMove>('start', 'release', 'succeed', 'fail', 'cancel')

describe('coordinator/queues: job states', () => {
  it('ends once, for good, and only what runs has a lease', () => {
    fc.assert(
      fc.property(fc.array(move, { maxLength: 30 }), (moves) => {
        let head = created
        let starts = 0
        for (const [index, asked] of moves.entries()) {
          const next = moveJob(head, asked, { atMs: index + 2, lease })
          if (isFinished(head)) expect(next).to.equal(undefined)
          if (!next) continue
          if (asked === 'start') starts++
          head = next
          expect(head.lease !== undefined).to.equal(head.state === 'running')
          expect(head.updatedMs).to.equal(index + 2)
        }
        const actions = head.events.map(({ action }) => action)
        expect(actions[0]).to.equal('created')
        expect(actions.filter((action) => action === 'started')).to.have.length(starts)
        expect(head.attempts).to.equal(starts)
        const ends = actions.filter((action) => !['created', 'started'].includes(action))
        expect(ends).to.deep.equal(isFinished(head) ? [head.state] : [])
      }),
    )
  })

  it('keeps as many events as the contract shows: the first, and the newest', () => {
    let head = created
    for (let atMs = 2; atMs < 2 + 2 * jobEventsMax; atMs++) {
      head = moveJob(head, atMs % 2 === 0 ? 'start' : 'release', { atMs, lease }) ?? head
    }
    expect(head.events).to.have.length(jobEventsMax)
    expect(head.events[0]?.action).to.equal('created')
    expect(head.events.at(-1)?.atMs).to.equal(2 * jobEventsMax)
  })
})
