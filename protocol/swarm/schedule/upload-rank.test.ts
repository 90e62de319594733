import { expect } from 'chai'
import type { PeerMaps } from './peer-maps.ts'
import { fieldOf, mapsOf } from './schedule.fixture.ts'
import { UploadRank } from './upload-rank.ts'

const megabyte = 1_000_000

/** Homes of these downlinks (MB/s), each gaining a chunk each so many ms for ten seconds. */
function swarmOf(homes: Record<string, { down: number; eachMs: number }>): PeerMaps {
  const maps = mapsOf(10_000, Object.fromEntries(Object.keys(homes).map((name) => [name, []])))
  for (const [name, { down, eachMs }] of Object.entries(homes)) {
    maps.link(name, { downloadBytesPerS: down * megabyte })
    for (let ms = eachMs, chunk = 0; ms <= 10_000; ms += eachMs, chunk++) {
      maps.gained(name, { start: chunk, count: 1 }, ms)
    }
  }
  return maps
}

/** In the order in which they would be served. */
function order(maps: PeerMaps, nowMs: number, soonest = false): string[] {
  const rank = new UploadRank({ maps })
  const turn = (peer: string): number => rank.turnOf(peer, nowMs, soonest)
  return [...maps.peers].sort((a, b) => turn(a) - turn(b))
}

describe('swarm/schedule/upload-rank', () => {
  it('serves who has no time to lose, then the slow, then who is done soonest', () => {
    // 6.4 MB/s of gain for 4 × 655 MB: 400 s for all, of which the first needs all.
    const maps = swarmOf({
      fastest: { down: 60, eachMs: 40 },
      fast: { down: 40, eachMs: 40 },
      slow: { down: 5, eachMs: 40 },
      urgent: { down: 1.6, eachMs: 40 },
    })
    expect(order(maps, 10_000)).to.deep.equal(['urgent', 'slow', 'fastest', 'fast'])
    const soonest = ['fastest', 'fast', 'slow', 'urgent']
    expect(order(maps, 10_000, true), 'and alone by who is done').to.deep.equal(soonest)
  })

  it('takes the word of nobody who gains faster than it says it can', () => {
    const maps = swarmOf({
      honest: { down: 5, eachMs: 40 },
      liar: { down: 1, eachMs: 8 },
      other: { down: 40, eachMs: 40 },
    })
    expect(order(maps, 10_000)[0]).to.equal('honest')
  })

  it('says nothing of slack before anything moved, and puts the silent last', () => {
    const held = [0, 1, 2, 3]
    const maps = mapsOf(100, { silent: held, slow: held, fast: held })
    maps.link('slow', { downloadBytesPerS: megabyte })
    maps.link('fast', { downloadBytesPerS: 10 * megabyte })
    expect(order(maps, 0)).to.deep.equal(['fast', 'slow', 'silent'])
  })

  it('goes by downlinks alone where it sees a part of the swarm', () => {
    const down = { slowest: 1, slow: 2, fastest: 60, fast: 40 }
    const maps = mapsOf(
      10_000,
      Object.fromEntries(Object.keys(down).map((name) => [name, [0, 1, 2, 3]])),
    )
    for (const [name, rate] of Object.entries(down)) {
      maps.link(name, { downloadBytesPerS: rate * megabyte })
    }
    // 'fast' has most of it: where all is seen it would go before 'fastest'.
    for (let ms = 1; ms <= 7_000; ms++) maps.gained('fast', { start: ms, count: 1 }, ms)
    const rank = new UploadRank({ maps, seenWholeMax: 3 })
    const turn = (peer: string): number => rank.turnOf(peer, 7_000)
    const names = [...maps.peers].sort((one, other) => turn(one) - turn(other))
    expect(names).to.deep.equal(['slowest', 'slow', 'fastest', 'fast'])
    const soonest = (peer: string): number => rank.turnOf(peer, 7_000, true)
    expect(soonest('fastest')).to.be.below(soonest('slowest'))
  })

  it('treats equal downlinks alike there, whatever they lack', () => {
    const names = Array.from({ length: 40 }, (_, at) => `home-${at}`)
    const maps = mapsOf(100, Object.fromEntries(names.map((name, at) => [name, [at, 51, 52, 53]])))
    for (const name of names) maps.link(name, { downloadBytesPerS: megabyte })
    maps.gained('home-7', { start: 50, count: 5 }, 1_000)
    const rank = new UploadRank({ maps })
    expect(new Set(names.map((name) => rank.turnOf(name, 1_000)))).to.have.property('size', 1)
  })

  it('serves who holds next to nothing before all others, the emptiest first', () => {
    const maps = swarmOf({ fast: { down: 60, eachMs: 40 }, urgent: { down: 1.6, eachMs: 40 } })
    for (const [name, held] of Object.entries({ two: [7, 8], none: [], four: [1, 2, 3, 4] })) {
      maps.set(name, fieldOf(10_000, held), 10_000)
      maps.link(name, { downloadBytesPerS: 10 * megabyte })
    }
    expect(order(maps, 10_000).slice(0, 2)).to.deep.equal(['none', 'two'])
    expect(order(maps, 10_000, true).slice(0, 2)).to.deep.equal(['none', 'two'])
    expect(order(maps, 10_000)[2], 'four are enough to pass on').to.equal('urgent')
  })

  it('treats all alike where turns are off', () => {
    const rank = new UploadRank({ maps: mapsOf(10, { a: [], b: [1] }), favourites: false })
    expect(rank.turnOf('a', 0)).to.equal(rank.turnOf('b', 0))
  })
})
