import { expect } from 'chai'
import fc from 'fast-check'
import type { Misbehaviour } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { createAccusationBook, type Witnesses } from './accusations.ts'

const peer = (n: number): PeerId => `peer${n}` as PeerId
const home = (n: number): string => `home${n}`
const hourMs = 3_600_000
const witnesses = (changes: Partial<Witnesses> = {}): Witnesses => ({
  ...{ nowMs: 0, household: 'its own', households: 30, isBanned: () => false },
  standingOf: () => 1,
  ...changes,
})

describe('accusations', () => {
  const kinds = fc.constantFrom<Misbehaviour['kind']>('wrong-chunk', 'malformed', 'flood')

  it('ban nobody by the word of a third of all households, whatever they say and when', () => {
    const lies = fc.array(
      fc.record({ by: fc.nat(63), of: fc.nat(5), kind: kinds, afterMs: fc.nat(2 * hourMs) }),
      { maxLength: 400 },
    )
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 192 }), lies, (households, told) => {
        const book = createAccusationBook()
        const liars = Math.max(1, Math.floor(households / 3))
        let nowMs = 0
        for (const { by, of, kind, afterMs } of told) {
          nowMs += afterMs
          const household = home(by % liars)
          book.note({ household, isTrusted: false, accused: peer(of), kind }, nowMs)
          const { verdict } = book.weigh(peer(of), witnesses({ nowMs, households }))
          expect(verdict).to.not.equal('ban')
        }
      }),
      { numRuns: 200 },
    )
  })

  it('ban who lies to most, though a third of the households defends it and lies of others', () => {
    fc.assert(
      fc.property(fc.integer({ min: 12, max: 120 }), (households) => {
        const book = createAccusationBook()
        const coalition = Math.floor(households / 3)
        for (let by = 0; by < households; by++) {
          const accused = by < coalition ? peer(1_000 + by) : peer(0)
          book.note({ household: home(by), isTrusted: false, accused, kind: 'wrong-chunk' }, by)
        }
        const at = witnesses({ nowMs: households, households })
        expect(book.weigh(peer(0), at).verdict).to.equal('ban')
        for (let by = 0; by < coalition; by++) {
          expect(book.weigh(peer(1_000 + by), at).verdict).to.equal('none')
        }
      }),
    )
  })

  it('count a household once, the new ones not at all, and nobody against itself', () => {
    const book = createAccusationBook()
    const say = (household: string, times = 1): void => {
      for (let n = 0; n < times; n++) {
        book.note({ household, isTrusted: false, accused: peer(0), kind: 'wrong-chunk' }, 0)
      }
    }
    say(home(1), 100)
    say('its own')
    expect(book.weigh(peer(0), witnesses())).to.include({ weight: 1, accusers: 1 })
    for (let n = 100; n < 200; n++) say(home(n))
    const known = witnesses({ standingOf: (of) => (of === home(1) ? 1 : 0) })
    expect(book.weigh(peer(0), known)).to.include({ weight: 1, accusers: 101, verdict: 'none' })
  })

  it('weigh less of an accuser who names many, but for those that were rightly named', () => {
    const book = createAccusationBook()
    for (let n = 0; n < 16; n++) {
      book.note({ household: home(1), isTrusted: false, accused: peer(n), kind: 'wrong-chunk' }, 0)
    }
    expect(book.weigh(peer(0), witnesses()).weight).to.equal(0.5)
    const banned = new Set(Array.from({ length: 8 }, (_, n) => peer(n + 8)))
    const at = witnesses({ isBanned: (of) => banned.has(of) })
    expect(book.weigh(peer(0), at).weight).to.equal(1)
  })

  it('go from nothing to suspicion to a ban, and fade', () => {
    const book = createAccusationBook()
    const verdicts: string[] = []
    for (let n = 0; n < 11; n++) {
      book.note({ household: home(n), isTrusted: false, accused: peer(0), kind: 'wrong-chunk' }, 0)
      verdicts.push(book.weigh(peer(0), witnesses()).verdict)
    }
    expect(verdicts).to.deep.equal([
      ...['none', 'none', 'none', 'suspect', 'suspect', 'suspect', 'suspect'],
      ...['suspect', 'suspect', 'suspect', 'ban'],
    ])
    expect(book.weigh(peer(0), witnesses({ nowMs: 24 * hourMs })).verdict).to.equal('suspect')
    expect(book.weigh(peer(0), witnesses({ nowMs: 72 * hourMs })).verdict).to.equal('none')
  })

  it('are enough from a cache, which the operator trusts, when it says so twice', () => {
    const book = createAccusationBook()
    const say = () =>
      book.note({ household: 'cache', isTrusted: true, accused: peer(0), kind: 'wrong-chunk' }, 0)
    say()
    expect(book.weigh(peer(0), witnesses()).verdict).to.equal('suspect')
    say()
    expect(book.weigh(peer(0), witnesses()).verdict).to.equal('ban')
  })
})
