import { expect } from 'chai'
import fc from 'fast-check'
import { judgeLease, type LeaseFacts, outliveMs, type Rule, type Word } from './judge-lease.ts'

const leaseEndMs = 1_000_000
const ordinary: LeaseFacts = {
  ...{ leaseEndMs, strict: false, lostAfterMs: 0, orphanAfterMs: 3_600_000 },
}
const strict: LeaseFacts = { ...ordinary, strict: true }
const silence: Word = { witnesses: 0, otherHouseholds: 5 }
const pulse = (afterMs: number, settled = true, holding = false): Word['pulse'] => ({
  timeMs: leaseEndMs + afterMs,
  ...{ settled, holding },
})

/** Lives second by second by what `wordAt` tells; when it stopped, in ms after the lease's end. */
function live(lease: LeaseFacts, wordAt: (afterMs: number) => Word, untilMs = 4_000_000): number {
  let cutOffSinceMs: number | undefined
  for (let afterMs = -1_000; afterMs < untilMs; afterMs += 1_000) {
    const nowMs = leaseEndMs + afterMs
    const verdict = judgeLease({ ...lease, cutOffSinceMs }, wordAt(afterMs), nowMs)
    cutOffSinceMs = verdict.cutOffSinceMs
    if (verdict.stopAtMs <= nowMs) return afterMs
  }
  return Number.POSITIVE_INFINITY
}

describe('a lease that is not renewed', () => {
  const ruleAt = (afterMs: number, word: Word): Rule =>
    judgeLease(ordinary, word, leaseEndMs + afterMs).rule

  it('is judged by pulses of after its end alone', () => {
    expect(ruleAt(3_000, { ...silence, pulse: pulse(-1) })).to.equal('line-down')
    expect(ruleAt(3_000, { ...silence, pulse: pulse(0) })).to.equal('line-down')
    expect(ruleAt(3_000, { ...silence, pulse: pulse(1) })).to.equal('cut-off')
    expect(ruleAt(3_000, { ...silence, pulse: pulse(1, false) })).to.equal('awaited')
    expect(ruleAt(3_000, { ...silence, pulse: pulse(1, true, true) })).to.equal('awaited')
    expect(ruleAt(0, { ...silence, pulse: pulse(1) })).to.equal('leased')
  })

  it('takes three other households, or all that there are, for proof of the own line', () => {
    expect(ruleAt(1, { witnesses: 2, otherHouseholds: 5 })).to.equal('line-down')
    expect(ruleAt(1, { witnesses: 3, otherHouseholds: 5 })).to.equal('orphan')
    expect(ruleAt(1, { witnesses: 1, otherHouseholds: 1 })).to.equal('orphan')
    expect(ruleAt(1, { witnesses: 0, otherHouseholds: 0 })).to.equal('orphan')
    expect(ruleAt(1, { witnesses: 2 })).to.equal('line-down')
  })

  it('cut off: tries for 5 s, and stops when lease, skew and lost_after have passed', () => {
    const learnsAt = (learntMs: number) => (afterMs: number) =>
      afterMs >= learntMs ? { ...silence, pulse: pulse(afterMs) } : silence
    expect(live(ordinary, learnsAt(1_000))).to.equal(6_000)
    expect(live(ordinary, learnsAt(20_000))).to.equal(25_000)
    expect(live({ ...ordinary, lostAfterMs: 60_000 }, learnsAt(1_000))).to.equal(62_000)
  })

  it('its own line down: stops after a minute, or lost_after if longer', () => {
    expect(live(ordinary, () => silence)).to.equal(outliveMs)
    expect(live({ ...ordinary, lostAfterMs: 90_000 }, () => silence)).to.equal(90_000)
    expect(live({ ...ordinary, lostAfterMs: 5_000 }, () => silence)).to.equal(outliveMs)
  })

  it('orphaned: runs on to orphan_after, as long as the own line is proved', () => {
    const heard = (afterMs: number): Word => ({
      ...{ witnesses: 3, otherHouseholds: 9, lastWitnessMs: leaseEndMs + afterMs },
    })
    expect(live(ordinary, heard)).to.equal(3_600_000)
    // The line breaks after half an hour: whoever comes back meanwhile cannot be heard.
    const breaks = (afterMs: number): Word => heard(Math.min(afterMs, 1_800_000))
    expect(live(ordinary, breaks)).to.equal(1_800_000 + outliveMs)
    expect(live(ordinary, () => ({ witnesses: 0, otherHouseholds: 0 }))).to.equal(3_600_000)
  })

  it('awaited: runs on while it is waited for, and not on a word of long ago', () => {
    const waits = (afterMs: number): Word => ({ ...silence, pulse: pulse(afterMs, false) })
    expect(live(ordinary, (afterMs) => waits(afterMs))).to.equal(3_600_000)
    expect(live(ordinary, (afterMs) => waits(Math.min(afterMs, 600_000)))).to.equal(
      600_000 + outliveMs,
    )
  })

  it('awaited, then orphaned: a coordinator that crashes while it settles is waited for', () => {
    const crashes = (afterMs: number): Word => ({
      ...{ pulse: pulse(Math.min(afterMs, 30_000), false), witnesses: 3, otherHouseholds: 3 },
      lastWitnessMs: leaseEndMs + afterMs,
    })
    expect(live(ordinary, crashes)).to.equal(3_600_000)
  })

  it('strict: stops at the lapse whatever is known', () => {
    const worlds: Word[] = [
      { ...silence, pulse: pulse(1) },
      { ...silence, pulse: pulse(1, false) },
      { witnesses: 9, otherHouseholds: 9, lastWitnessMs: leaseEndMs + 1 },
      silence,
    ]
    for (const word of worlds) {
      expect(live(strict, () => word)).to.equal(0)
      const { guardAtMs } = judgeLease(strict, word, leaseEndMs + 1)
      expect(guardAtMs).to.equal(leaseEndMs)
    }
  })

  it('keeps the guard a minute ahead of a living daemon, and never beyond the rule', () => {
    const word: Word = { witnesses: 3, otherHouseholds: 3, lastWitnessMs: leaseEndMs + 599_000 }
    const guardAt = (afterMs: number): number =>
      judgeLease(ordinary, word, leaseEndMs + afterMs).guardAtMs - leaseEndMs
    expect(guardAt(-5_000)).to.equal(outliveMs)
    expect(guardAt(600_000)).to.equal(599_000 + outliveMs)
    const end: Word = { witnesses: 0, otherHouseholds: 0 }
    const late = judgeLease(ordinary, end, leaseEndMs + 3_590_000)
    expect(late.guardAtMs).to.equal(leaseEndMs + 3_600_000)
  })

  /**
   * The promise of leases.md against a model of the world: a node is cut at some moment, from the
   * coordinator alone or from all; the coordinator may go, come back, settle. Whatever happens, two
   * containers of a slot overlap for lost_after + skew + a minute after the lease at most.
   */
  it('never outlives its replacement by more than a minute, whatever happens', () => {
    const span = fc.integer({ min: 0, max: 2_000 }).map((s) => s * 1_000)
    const world = fc.record({
      lineDownMs: span,
      lineDownForMs: span,
      peersCutMs: span,
      awayMs: span,
      awayForMs: span,
      settlesAfterMs: fc.integer({ min: 60, max: 300 }).map((s) => s * 1_000),
      others: fc.nat(6),
      lostAfterMs: fc.constantFrom(0, 30_000, 120_000),
      pollMs: fc.constantFrom(5_000, 15_000, 20_000),
    })
    fc.assert(
      fc.property(world, (w) => {
        const lease = { ...ordinary, lostAfterMs: w.lostAfterMs }
        const dueMs = 2_000 + w.lostAfterMs
        // Away before the slot is due, or not at all: one that replaces and then restarts tells at
        // first that it has not settled, and the node believes it until it has.
        const isEverAway = w.awayMs <= dueMs
        const backMs = w.awayMs + w.awayForMs
        const settledMs = backMs + w.settlesAfterMs
        const isAway = (ms: number): boolean => isEverAway && ms >= w.awayMs && ms < backMs
        // This node reaches no coordinator from its lease's end on. When its slot may run elsewhere:
        const replacedMs = isEverAway ? settledMs + 15_000 + dueMs : dueMs
        let known: Word['pulse']
        let witnessedMs: number | undefined
        const stoppedMs = live(lease, (afterMs) => {
          const isLineDown = afterMs >= w.lineDownMs && afterMs < w.lineDownMs + w.lineDownForMs
          if (afterMs >= 0 && afterMs % w.pollMs === 0 && !isLineDown && afterMs < w.peersCutMs) {
            witnessedMs = leaseEndMs + afterMs
            const heardMs = isAway(afterMs) ? w.awayMs - 1 : afterMs - 1
            const settled = !isEverAway || heardMs < w.awayMs || heardMs >= settledMs
            if (w.others > 0 && heardMs > (known ? known.timeMs - leaseEndMs : 0)) {
              known = pulse(heardMs, settled)
            }
          }
          return {
            pulse: known,
            witnesses: witnessedMs === undefined ? 0 : w.others,
            lastWitnessMs: witnessedMs,
            otherHouseholds: w.others,
          }
        })
        if (w.others === 0) return // nobody could tell it; an hour is the tenant's own choice
        expect(stoppedMs).to.be.at.most(replacedMs + Math.max(outliveMs, w.lostAfterMs))
        // And nothing is lost in an absence through which the peers could be heard.
        const isHeard = w.lineDownForMs === 0 && w.peersCutMs >= backMs
        if (isHeard && w.awayMs === 0 && w.awayForMs < 3_500_000) {
          expect(stoppedMs).to.be.above(Math.min(backMs, 3_600_000) - 1)
        }
      }),
      { numRuns: 3_000 },
    )
  })
})
