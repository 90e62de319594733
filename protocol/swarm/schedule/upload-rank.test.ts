import { expect } from 'chai'
import type { PeerMaps } from './peer-maps.ts'
import { mapsOf } from './schedule.fixture.ts'
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
function order(maps: PeerMaps, nowMs: number): string[] {
  const rank = new UploadRank({ maps })
  return [...maps.peers].sort((a, b) => rank.turnOf(a, nowMs) - rank.turnOf(b, nowMs))
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
    const maps = mapsOf(100, { silent: [], slow: [], fast: [] })
    maps.link('slow', { downloadBytesPerS: megabyte })
    maps.link('fast', { downloadBytesPerS: 10 * megabyte })
    expect(order(maps, 0)).to.deep.equal(['fast', 'slow', 'silent'])
  })

  it('treats all alike where the swarm is bigger than what is seen of it', () => {
    const names = Array.from({ length: 40 }, (_, at) => `home-${at}`)
    const maps = mapsOf(100, Object.fromEntries(names.map((name) => [name, []])))
    for (const [at, name] of names.entries()) {
      maps.link(name, { downloadBytesPerS: (at + 1) * megabyte })
    }
    const rank = new UploadRank({ maps })
    expect(new Set(names.map((name) => rank.turnOf(name, 0)))).to.deep.equal(new Set([0]))
  })

  it('treats all alike where turns are off', () => {
    const rank = new UploadRank({ maps: mapsOf(10, { a: [], b: [1] }), favourites: false })
    expect(rank.turnOf('a', 0)).to.equal(rank.turnOf('b', 0))
  })
})
