import { expect } from 'chai'
import type { SecurityReport } from '../../protocol/control/index.ts'
import { errorCode } from '../../protocol/errors.ts'
import type { GroupId, PeerId, SlotId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { banBench } from '../bans/ban-book.fixture.ts'
import type { BanBook } from '../bans/index.ts'
import { openSecurityReview, type Reporter, type SecurityReview } from './index.ts'

const uuid = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const group = (n: number): GroupId => uuid(n) as GroupId
const slot = (n: number): SlotId => `${uuid(n)}/0` as SlotId
const word = { sensor: 'falco', rule: 'Terminal shell in container', text: 'a shell' }
let ids = 100
const report = (evidence: Partial<SecurityReport['evidence']>): SecurityReport => ({
  ...{ type: 'security-report', id: uuid(++ids), seenMs: 1 },
  evidence: { suspect: 'workload', ...word, ...evidence },
})

describe('security review', () => {
  let bench: Awaited<ReturnType<typeof banBench>>
  let bans: BanBook
  let reporter: Reporter
  let kicked: GroupId[]
  let laterMs: number
  const open = async (): Promise<SecurityReview> => {
    const review = await openSecurityReview({
      ...{ store: bench.store, bans, logger: silentLogger },
      runsOn: (peer, of) => peer === bench.orders.node && of !== slot(9),
      audit: async (entry) => void bench.audited.push(entry),
      clockMs: () => bench.clock.nowMs(),
      nowMs: () => bench.clock.nowMs() + laterMs,
    })
    review.onChange((of) => kicked.push(of))
    return review
  }
  beforeEach(async () => {
    bench = await banBench()
    bans = await bench.open()
    reporter = { peer: bench.orders.node, household: '192.0.2.1' }
    kicked = []
    laterMs = 0
  })
  afterEach(() => bench.close())

  it('bans a host that is suspect, with the evidence, and audits it', async () => {
    const review = await open()
    expect(await review.take(reporter, report({ suspect: 'host' }))).to.equal(true)
    expect(bans.get(reporter.peer)).to.deep.include({ source: 'security-alert', note: word.rule })
    expect(bans.get(reporter.peer)?.evidence[0]?.text).to.contain('a shell')
    expect(bench.audited.map(({ act }) => act)).to.deep.equal(['ban', 'security-report'])
    expect(review.holds()).to.deep.equal([])
  })

  it('holds the group of a suspect workload until an operator lets go, over restarts', async () => {
    const first = await open()
    const alarm = report({ slot: slot(1) })
    await first.take(reporter, alarm)
    expect([first.isHeld(group(1)), kicked]).to.deep.equal([true, [group(1)]])
    expect(bans.isBanned(reporter.peer)).to.equal(false)
    const second = await open()
    expect(second.isHeld(group(1))).to.equal(true)
    // The node says it again: it may not have heard that it is known.
    expect(await second.take(reporter, alarm)).to.equal(true)
    expect(second.holds()[0]?.reports).to.deep.equal([alarm.id])
    await second.release(group(1), { by: 'op', note: 'looked', falseAlarm: false })
    expect(second.isHeld(group(1))).to.equal(false)
    expect((await open()).isHeld(group(1))).to.equal(false)
    const again = second.release(group(1), { by: 'op', note: '', falseAlarm: false })
    expect(await again.catch(errorCode)).to.equal('HOLD_NOT_FOUND')
    expect(bench.audited.map(({ act }) => act)).to.deep.equal(['security-report', 'release-hold'])
  })

  it('lets nobody hold a group that was not given to it', async () => {
    const review = await open()
    const stranger = { peer: bench.orders.other as PeerId, household: '192.0.2.2' }
    await review.take(stranger, report({ slot: slot(1) }))
    await review.take(reporter, report({ slot: slot(9) }))
    await review.take(reporter, report({}))
    expect(review.holds()).to.deep.equal([])
    expect(review.reports().map(({ outcome }) => outcome)).to.deep.equal([
      'noted',
      'noted',
      'noted',
    ])
  })

  it('heeds a household less that raised false alarms', async () => {
    const review = await open()
    for (const n of [1, 2]) {
      await review.take(reporter, report({ slot: slot(n) }))
      await review.release(group(n), { by: 'op', note: 'nothing there', falseAlarm: true })
    }
    await review.take(reporter, report({ slot: slot(3) }))
    expect(review.isHeld(group(3))).to.equal(false)
    laterMs = 31 * 86_400_000
    await review.take(reporter, report({ slot: slot(4) }))
    expect(review.isHeld(group(4))).to.equal(true)
  })

  it('takes no more of one node than it can look at', async () => {
    const review = await open()
    const taken: boolean[] = []
    for (let n = 0; n < 20; n++) taken.push(await review.take(reporter, report({ slot: slot(1) })))
    expect(taken.filter(Boolean)).to.have.length(8)
    expect(review.reports()).to.have.length(8)
  })
})
