import { expect } from 'chai'
import fc from 'fast-check'
import { Bitfield } from '../bundle/index.ts'
import { Picker } from './picker.ts'

const chunkBytes = 64 * 1024

function fieldOf(size: number, ...set: number[]): Bitfield {
  const field = new Bitfield(size)
  for (const bit of set) field.set(bit)
  return field
}

function full(size: number): Bitfield {
  return fieldOf(size, ...Array.from({ length: size }, (_, bit) => bit))
}

/** A picker of nothing held, with a seeded generator (mulberry32). */
function pickerOf(
  chunkCount: number,
  { seed = 1, windowChunks = 128, held = fieldOf(chunkCount) } = {},
) {
  let state = seed
  const random = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  return new Picker({ chunkCount, held, bytesOf: () => chunkBytes, random, windowChunks })
}

const one = { freeBytes: 1, runMax: 1 }

describe('swarm/picker', () => {
  it('takes the rarest chunk inside the window, never beyond it while one is there', () => {
    const picker = pickerOf(10, { windowChunks: 4 })
    picker.setPeer('a', full(10))
    picker.setPeer('b', fieldOf(10, 0, 1, 3, 5))
    expect(picker.choose('a', one)).to.deep.equal({ start: 2, count: 1, bytes: chunkBytes })
    const next = picker.choose('a', one)
    expect(next?.start).to.be.oneOf([0, 1, 3])
  })

  it('goes beyond the window rather than leave a sender idle', () => {
    const picker = pickerOf(10, { windowChunks: 4 })
    picker.setPeer('late', fieldOf(10, 8))
    expect(picker.choose('late', one)?.start).to.equal(8)
    expect(picker.choose('late', one)).to.equal(undefined)
  })

  it('asks preferred chunks first', () => {
    const picker = pickerOf(300)
    picker.setPeer('a', full(300))
    picker.prefer(250)
    expect(picker.choose('a', one)?.start).to.equal(250)
  })

  it('draws among equals, so that two homes want different chunks of one seed', () => {
    const firsts = new Set<number>()
    for (let seed = 1; seed <= 40; seed++) {
      const picker = pickerOf(100, { seed })
      picker.setPeer('seed', full(100))
      firsts.add(picker.choose('seed', one)?.start ?? -1)
    }
    expect(firsts.size).to.be.above(20)
  })

  it('keeps runs within the free bytes', () => {
    const picker = pickerOf(64)
    picker.setPeer('a', full(64))
    const run = picker.choose('a', { freeBytes: 3 * chunkBytes, runMax: 16 })
    expect(run?.count).to.be.within(1, 3)
    expect(run?.bytes).to.be.at.most(3 * chunkBytes)
  })

  it('frees what a sender was asked for when it leaves', () => {
    const picker = pickerOf(2)
    picker.setPeer('a', full(2))
    picker.choose('a', one)
    picker.choose('a', one)
    picker.setPeer('b', full(2))
    expect(picker.choose('b', one)).to.equal(undefined)
    expect(picker.removePeer('a').sort()).to.deep.equal([0, 1])
    expect(picker.holdersOf(0)).to.equal(1)
    expect(picker.choose('b', one)).to.not.equal(undefined)
  })

  it('names what was asked last of one sender and is held by another', () => {
    const picker = pickerOf(4)
    picker.setPeer('slow', fieldOf(4, 0, 1, 2))
    picker.setPeer('fast', fieldOf(4, 0, 1, 3))
    for (const chunk of [1, 0, 2]) picker.reserve(chunk, 'slow')
    expect([...picker.owners]).to.deep.equal(['slow'])
    expect(picker.lastAskedOf('slow', 'fast')).to.equal(0)
    expect(picker.lastAskedOf('slow', 'fast', (chunk) => chunk !== 0)).to.equal(1)
    picker.release(1, 'slow')
    picker.gained(0)
    expect(picker.lastAskedOf('slow', 'fast')).to.equal(undefined)
    picker.releaseAll('slow')
    expect([...picker.owners]).to.deep.equal([])
  })

  it('tells where a window ends that is taken, and nothing while it is not', () => {
    const picker = pickerOf(10, { windowChunks: 4, held: fieldOf(10, 0, 2) })
    picker.setPeer('a', full(10))
    expect(picker.windowTakenTo).to.equal(undefined)
    // The oldest that is missing is 1: the window ends before 5.
    for (const chunk of [1, 3, 4]) picker.reserve(chunk, 'a')
    expect(picker.windowTakenTo).to.equal(5)
    picker.release(3, 'a')
    expect(picker.windowTakenTo).to.equal(undefined)
  })

  it('never asks twice, never asks a peer for what it lacks, and ends', () => {
    const event = fc.record({
      kind: fc.constantFrom(
        'choose',
        'choose',
        'arrive',
        'arrive',
        'fail',
        'leave',
        'have',
        'lose',
      ),
      peer: fc.integer({ min: 0, max: 4 }),
      at: fc.nat(),
      runMax: fc.integer({ min: 1, max: 8 }),
    })
    const scene = fc.record({
      chunkCount: fc.integer({ min: 1, max: 200 }),
      windowChunks: fc.integer({ min: 1, max: 64 }),
      seed: fc.integer(),
      holdings: fc.array(fc.array(fc.nat(), { maxLength: 60 }), { minLength: 5, maxLength: 5 }),
      events: fc.array(event, { maxLength: 300 }),
    })
    fc.assert(
      fc.property(scene, ({ chunkCount, windowChunks, seed, holdings, events }) => {
        const picker = pickerOf(chunkCount, { windowChunks, seed })
        const holds = holdings.map((list) => new Set(list.map((n) => n % chunkCount)))
        const asked = new Map<number, number>()
        const mine = new Set<number>()
        const join = (peer: number) =>
          picker.setPeer(`${peer}`, fieldOf(chunkCount, ...(holds[peer] ?? [])))
        for (const peer of holds.keys()) join(peer)

        const choose = (peer: number, runMax: number): boolean => {
          const run = picker.choose(`${peer}`, { freeBytes: 4 * chunkBytes, runMax })
          if (!run) return false
          expect(run.count).to.be.within(1, runMax)
          for (let chunk = run.start; chunk < run.start + run.count; chunk++) {
            expect(asked.has(chunk), `chunk ${chunk} is asked for already`).to.equal(false)
            expect(mine.has(chunk), `chunk ${chunk} is held`).to.equal(false)
            expect(holds[peer]?.has(chunk), `peer ${peer} lacks ${chunk}`).to.equal(true)
            asked.set(chunk, peer)
          }
          return true
        }
        const arrive = (chunk: number) => {
          asked.delete(chunk)
          mine.add(chunk)
          picker.gained(chunk)
        }

        for (const { kind, peer, at, runMax } of events) {
          const pending = [...asked.keys()][at % Math.max(1, asked.size)]
          if (kind === 'choose') choose(peer, runMax)
          if (kind === 'arrive' && pending !== undefined) arrive(pending)
          if (kind === 'fail' && pending !== undefined) {
            expect(picker.release(pending, `${asked.get(pending)}`)).to.equal(true)
            asked.delete(pending)
          }
          if (kind === 'have') {
            holds[peer]?.add(at % chunkCount)
            picker.peerGained(`${peer}`, { start: at % chunkCount, count: 1 })
          }
          if (kind === 'lose') {
            holds[peer]?.delete(at % chunkCount)
            picker.peerLost(`${peer}`, at % chunkCount)
          }
          if (kind === 'leave') {
            picker.removePeer(`${peer}`)
            for (const [chunk, owner] of asked) if (owner === peer) asked.delete(chunk)
            join(peer)
          }
          expect(picker.unreserved).to.equal(chunkCount - mine.size - asked.size)
        }
        // From here on everyone is honest: all that anyone has must come.
        const somewhere = new Set(holds.flatMap((set) => [...set]))
        for (let rounds = 0; rounds <= chunkCount; rounds++) {
          for (const peer of holds.keys()) while (choose(peer, 4));
          if (asked.size === 0) break
          for (const chunk of [...asked.keys()]) arrive(chunk)
        }
        for (const chunk of somewhere) expect(mine.has(chunk)).to.equal(true)
        for (const chunk of Array(chunkCount).keys()) {
          const holders = holds.filter((set) => set.has(chunk)).length
          expect(picker.holdersOf(chunk)).to.equal(holders)
        }
      }),
      { numRuns: 150 },
    )
  })
})
