import { expect } from 'chai'
import fc from 'fast-check'
import { chunkBytes, fieldOf, mapsOf } from './schedule.fixture.ts'

describe('swarm/schedule/peer-maps', () => {
  it('counts holders and bytes as they come, go and lose', () => {
    const change = fc.record({
      peer: fc.constantFrom('a', 'b', 'c'),
      kind: fc.constantFrom('set', 'gained', 'lost', 'remove'),
      chunk: fc.integer({ min: 0, max: 19 }),
    })
    fc.assert(
      fc.property(fc.array(change, { maxLength: 80 }), (changes) => {
        const maps = mapsOf(20, {})
        const model = new Map<string, Set<number>>()
        for (const { peer, kind, chunk } of changes) {
          if (kind === 'set') {
            maps.set(peer, fieldOf(20, [chunk]), 0)
            model.set(peer, new Set([chunk]))
          } else if (kind === 'gained') {
            maps.gained(peer, { start: chunk, count: 1 }, 0)
            model.get(peer)?.add(chunk)
          } else if (kind === 'lost') {
            maps.lost(peer, chunk)
            model.get(peer)?.delete(chunk)
          } else {
            maps.remove(peer)
            model.delete(peer)
          }
        }
        for (let chunk = 0; chunk < 20; chunk++) {
          const holders = [...model.values()].filter((held) => held.has(chunk)).length
          expect(maps.holdersOf(chunk)).to.equal(holders)
        }
        for (const [peer, held] of model) {
          expect(maps.remainingBytes(peer)).to.equal((20 - held.size) * chunkBytes)
        }
      }),
    )
  })

  it('tells at what rate a peer gains, from its first seconds on', () => {
    const maps = mapsOf(1000, { a: [] })
    for (let chunk = 0; chunk < 200; chunk++) {
      maps.gained('a', { start: chunk, count: 1 }, (chunk + 1) * 100)
      const rate = maps.gainBytesPerS('a', (chunk + 1) * 100)
      if (chunk > 20) expect(rate).to.be.within(9 * chunkBytes, 11.5 * chunkBytes)
    }
    expect(maps.gainBytesPerS('a', 120_000)).to.be.below(chunkBytes / 100)
  })
})
