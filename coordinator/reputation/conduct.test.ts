import { expect } from 'chai'
import fc from 'fast-check'
import type { Epoch, PeerId, SlotId, Term } from '../../protocol/ids.ts'
import type { NodeView, SlotRecord } from '../slots/index.ts'
import { type Conduct, offend, spotless } from './conduct.ts'
import { createGpuClaims } from './gpu-claims.ts'
import { shareOut } from './household-share.ts'
import { overdueStops, ownLapses } from './observe.ts'
import { faulted, isOnProbation, served } from './probation.ts'

const node = 'node' as PeerId
const minuteMs = 60_000
const hourMs = 60 * minuteMs

describe('conduct', () => {
  /**
   * A home whose line comes and goes for a day, as a coordinator sees it: each silence longer than a
   * lease loses what it ran; orders to stop reach it when it is there, and it obeys them at once.
   */
  it('bans no home for its line, however bad that is', () => {
    const spell = fc.record({
      upMs: fc.oneof(fc.integer({ min: 1, max: minuteMs }), fc.nat(2 * hourMs)),
      downMs: fc.oneof(fc.integer({ min: 1, max: 2 * minuteMs }), fc.nat(3 * hourMs)),
      stopSentMs: fc.nat(2 * hourMs),
    })
    fc.assert(
      fc.property(fc.array(spell, { minLength: 1, maxLength: 300 }), (spells) => {
        let conduct: Conduct = spotless
        let nowMs = 0
        let rested = 0
        for (const { upMs, downMs, stopSentMs } of spells) {
          const helloMs = nowMs
          const shownUntilMs = helloMs + 100
          // It still shows what it was told to stop while it was away, and then no more.
          const overdue = overdueStops([revoked(nowMs - stopSentMs)], here(helloMs), shownUntilMs)
          expect(overdue).to.deep.equal([])
          nowMs += upMs
          // Given work only when it does not rest.
          if (conduct.restsUntilMs > nowMs) rested++
          else if (downMs > 17_000) {
            const step = offend(conduct, 'lapse', nowMs)
            expect(step.ban).to.equal(false)
            conduct = step.conduct
          }
          nowMs += downMs
        }
        expect(conduct.restsUntilMs - nowMs).to.be.at.most(12 * hourMs)
        if (spells.length > 200) expect(rested).to.be.greaterThan(0)
      }),
    )
  })

  it('rests who loses its leases often, longer each time', () => {
    let conduct: Conduct = spotless
    const rests: number[] = []
    for (let n = 0; n < 7; n++) {
      const step = offend(conduct, 'lapse', n)
      expect(step.ban).to.equal(false)
      conduct = step.conduct
      rests.push(Math.round((conduct.restsUntilMs - n) / minuteMs))
    }
    expect(rests.slice(3)).to.deep.equal([10, 20, 40, 80])
    expect(rests[2]).to.be.at.most(0)
  })

  it('bans who goes on showing what it was told to stop, for an hour, connected all the while', () => {
    const told = revoked(0)
    expect(overdueStops([told], here(0), 9 * minuteMs)).to.deep.equal([])
    expect(overdueStops([told], here(0), 10 * minuteMs)).to.have.length(1)
    expect(overdueStops([told], here(5 * minuteMs), 14 * minuteMs)).to.deep.equal([])
    let conduct: Conduct = spotless
    const bans: boolean[] = []
    for (let minutes = 10; minutes <= 60; minutes += 10) {
      const step = offend(conduct, 'not-stopped', minutes * minuteMs)
      conduct = step.conduct
      bans.push(step.ban)
    }
    expect(bans).to.deep.equal([false, false, false, false, false, true])
  })

  it('blames nobody when many fall silent at once', () => {
    const lapses = Array.from({ length: 20 }, (_, n) => {
      return { node: `n${n}` as PeerId, key: String(n), sinceMs: 0 }
    })
    expect(ownLapses(lapses, 100)).to.deep.equal([])
    expect(ownLapses(lapses.slice(0, 10), 100)).to.have.length(10)
  })
})

describe('GPU claims', () => {
  const gpu = (name: string, vramGib = 24) => ({
    ...{ uuid: 'GPU-1', name, vramBytes: vramGib * 2 ** 30, driver: '1' },
  })
  const claims = () => createGpuClaims({ classOf: (name) => /4090|3060/.exec(name)?.[0] })
  const at = (household: string, name: string, of = node) => ({
    node: of,
    household,
    gpus: [gpu(name)],
  })

  it('find a GPU that becomes another, but not a driver that spells it differently', () => {
    const seen = claims()
    expect(seen.see(at('a', 'NVIDIA GeForce RTX 3060'), 0)).to.deep.equal([])
    expect(seen.see(at('a', 'GeForce RTX 3060'), 1)).to.deep.equal([])
    const [found] = seen.see(at('a', 'GeForce RTX 4090'), 2)
    expect(found?.kind).to.equal('gpu-changed')
    let conduct: Conduct = spotless
    const bans = [1, 2, 3].map((n) => {
      const step = offend(conduct, 'gpu-changed', n)
      conduct = step.conduct
      return step.ban
    })
    expect(bans).to.deep.equal([false, false, true])
  })

  it('leave a GPU with the home that had it first, and let it move when that one is gone', () => {
    const seen = claims()
    const thief = 'thief' as PeerId
    seen.see(at('a', '4090'), 0)
    expect(seen.see(at('b', '4090', thief), 1).map(({ kind }) => kind)).to.deep.equal([
      'gpu-elsewhere',
    ])
    expect(seen.see(at('a', '4090'), minuteMs)).to.deep.equal([])
    expect(seen.see(at('b', '4090', thief), 10 * minuteMs)).to.deep.equal([])
  })
})

describe('probation', () => {
  const seen = { node, household: 'a', isAtFault: false }

  it('ends after so many hours of good service, not of mere age', () => {
    let record = served(undefined, seen, 0)
    for (let n = 1; n <= 60; n++) record = served(record, seen, n * minuteMs)
    expect(record.goodMs).to.equal(hourMs)
    expect(isOnProbation(record, hourMs)).to.equal(false)
    const away = served(record, seen, 100 * hourMs)
    expect(away.goodMs).to.equal(hourMs)
    expect(served(away, { ...seen, isAtFault: true }, 100 * hourMs + 5_000).goodMs).to.equal(hourMs)
    expect(isOnProbation(faulted(away), hourMs)).to.equal(true)
    expect(isOnProbation(undefined, hourMs)).to.equal(true)
    expect(isOnProbation(undefined, 0)).to.equal(false)
  })
})

describe('a household’s share', () => {
  it('is no larger for a thousand identities than for one, and the eldest comes first', () => {
    const members = fc.uniqueArray(
      fc.record({
        node: fc.nat(999).map((n) => `n${n}` as PeerId),
        sinceMs: fc.nat(),
        allocationsMax: fc.nat(64),
      }),
      { selector: ({ node: of }) => of, maxLength: 200 },
    )
    fc.assert(
      fc.property(members, fc.nat(64), (all, max) => {
        const shares = shareOut(all, max)
        const sum = [...shares.values()].reduce((total, share) => total + share, 0)
        const wanted = all.reduce((total, { allocationsMax }) => total + allocationsMax, 0)
        expect(sum).to.equal(Math.min(max, wanted))
        for (const { node: of, allocationsMax } of all) {
          expect(shares.get(of)).to.be.within(0, allocationsMax)
        }
      }),
    )
    const twins = [2, 1].map((n) => ({ node: `n${n}` as PeerId, sinceMs: n, allocationsMax: 8 }))
    expect([...shareOut(twins, 10)]).to.deep.equal([
      ['n1', 8],
      ['n2', 2],
    ])
  })
})

const slot = '00000000-0000-4000-8000-000000000001/0' as SlotId
const fence = { term: 1 as Term, epoch: 1 as Epoch }

function revoked(sinceMs: number): SlotRecord {
  return { slot, leaving: [{ node, fence, why: 'revoked', sinceMs }] } as unknown as SlotRecord
}

function here(helloMs: number): ReadonlyMap<PeerId, NodeView> {
  const held = new Map([[slot, { fence, report: { state: 'running' } }]])
  return new Map([[node, { node, connected: true, helloMs, held } as unknown as NodeView]])
}
