import { expect } from 'chai'
import fc from 'fast-check'
import { mapsOf } from './schedule.fixture.ts'
import { SeedPlan } from './seed-plan.ts'

const fast = () => 125_000_000

describe('swarm/schedule/seed-plan', () => {
  it('hands each chunk out once in the first pass, then shows all to all', () => {
    const scene = fc.record({
      chunkCount: fc.integer({ min: 1, max: 120 }),
      weights: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 }),
      turns: fc.array(fc.nat(), { minLength: 1, maxLength: 40 }),
    })
    fc.assert(
      fc.property(scene, ({ chunkCount, weights, turns }) => {
        const names = weights.map((_, at) => `home-${at}`)
        const maps = mapsOf(chunkCount, Object.fromEntries(names.map((name) => [name, []])))
        for (const [at, name] of names.entries()) {
          maps.link(name, { uploadBytesPerS: (weights[at] ?? 1) * 125_000 })
        }
        const plan = new SeedPlan({ maps, uploadBytesPerS: () => 0 })
        for (const name of names) plan.joined(name)
        const shown = new Map<number, string>()
        const waiting: { peer: string; chunk: number }[] = []
        const all = new Set<string>()
        for (let step = 0; all.size < names.length; step++) {
          expect(step, 'the plan goes on').to.be.below(20 * chunkCount + 20)
          for (const { peer, chunks } of plan.reveal(0)) {
            if (chunks === 'all') {
              all.add(peer)
              continue
            }
            for (const chunk of chunks) {
              expect(shown.get(chunk), `chunk ${chunk} is shown twice`).to.equal(undefined)
              shown.set(chunk, peer)
              waiting.push({ peer, chunk })
            }
          }
          const [sent] = waiting.splice(
            (turns[step % turns.length] ?? 0) % Math.max(1, waiting.length),
            1,
          )
          if (sent) plan.sent(sent.peer, sent.chunk)
        }
        expect(shown.size).to.equal(chunkCount)
      }),
    )
  })

  it('shows a home no more than its downlink takes in a while', () => {
    const maps = mapsOf(500, { full: [], other: [] })
    // The first is owed nearly all by its uplink, and takes 600 KB in 600 ms.
    maps.link('full', { uploadBytesPerS: 100_000_000, downloadBytesPerS: 1_000_000 })
    maps.link('other', { uploadBytesPerS: 1_000, downloadBytesPerS: 100_000_000 })
    const plan = new SeedPlan({ maps, uploadBytesPerS: fast })
    for (const peer of ['full', 'other']) plan.joined(peer)
    const shown = new Map(plan.reveal(0).map(({ peer, chunks }) => [peer, chunks.length]))
    expect(shown.get('full')).to.equal(9)
    expect(shown.get('other')).to.be.above(400)
  })

  it('gives homes shares by their uplinks, in the order of layers', () => {
    const maps = mapsOf(520, { slow: [], middle: [], fast: [] })
    for (const [peer, weight] of [
      ['slow', 2],
      ['middle', 10],
      ['fast', 40],
    ] as const) {
      maps.link(peer, { uploadBytesPerS: weight * 125_000 })
    }
    const plan = new SeedPlan({ maps, uploadBytesPerS: () => 2_500_000 })
    for (const peer of maps.peers) plan.joined(peer)
    const given: Record<string, number> = { slow: 0, middle: 0, fast: 0 }
    const waiting: { peer: string; chunk: number }[] = []
    const order: number[] = []
    while (order.length < 520) {
      for (const { peer, chunks } of plan.reveal(0)) {
        if (chunks !== 'all') waiting.push(...chunks.map((chunk) => ({ peer, chunk })))
      }
      const next = waiting.shift() ?? expect.fail('nothing was shown')
      given[next.peer] = (given[next.peer] ?? 0) + 1
      order.push(next.chunk)
      plan.sent(next.peer, next.chunk)
    }
    expect(given.slow).to.be.within(18, 22)
    expect(given.middle).to.be.within(95, 105)
    expect(given.fast).to.be.within(395, 405)
    for (const [at, chunk] of order.entries()) expect(Math.abs(chunk - at)).to.be.below(32)
  })

  it('splits the chunks among seeds, and hands out what another leaves undone', () => {
    const first = mapsOf(300, { home: [] })
    const plan = new SeedPlan({ maps: first, share: { index: 0, of: 2 }, uploadBytesPerS: fast })
    plan.joined('home')
    const shown = new Set<number>()
    for (let turn = 0; turn < 400 && !plan.firstPassDone; turn++) {
      for (const { chunks } of plan.reveal(0)) {
        if (chunks === 'all') continue
        for (const chunk of chunks) {
          shown.add(chunk)
          plan.sent('home', chunk)
        }
      }
      if (shown.size < 40) expect([...shown].every((chunk) => chunk % 2 === 0)).to.equal(true)
    }
    expect(shown.size, 'nobody else handed out the odd ones').to.equal(300)
  })

  it('goes on from what homes hold, and hands out again what left with a home', () => {
    const maps = mapsOf(40, { a: [0, 1], b: [] })
    const plan = new SeedPlan({ maps, uploadBytesPerS: () => 0 })
    plan.joined('a')
    plan.joined('b')
    const shown = () =>
      plan
        .reveal(0)
        .flatMap(({ peer, chunks }) =>
          chunks === 'all' ? [] : chunks.map((chunk) => ({ peer, chunk })),
        )
    const taken = shown()
    expect(taken.map(({ chunk }) => chunk).sort()).to.deep.equal([2, 3, 4, 5, 6, 7, 8, 9])
    maps.remove('b')
    plan.left('b')
    for (const { peer, chunk } of taken) if (peer === 'a') plan.sent('a', chunk)
    const again = shown().map(({ peer, chunk }) => `${peer} ${chunk}`)
    const lost = taken.filter(({ peer }) => peer === 'b').map(({ chunk }) => `a ${chunk}`)
    expect(lost).to.have.length.above(1)
    expect(again.slice(0, lost.length)).to.deep.equal(lost)
  })

  it('gives what a home does not ask for to another, and that home no more', () => {
    const maps = mapsOf(20, { stalled: [] })
    const plan = new SeedPlan({ maps, uploadBytesPerS: () => 0 })
    plan.joined('stalled')
    const [shown] = plan.reveal(0)
    expect(shown?.chunks).to.deep.equal([0, 1, 2, 3, 4, 5])
    maps.set('other', maps.heldBy('stalled') ?? expect.fail(), 0)
    plan.joined('other')
    plan.requested('stalled', 1)
    plan.reveal(1)
    const later = plan.reveal(6_000)
    expect(later.every(({ peer }) => peer === 'other')).to.equal(true)
    // Chunk 1 was asked for: it waits for us, not for the home.
    expect(plan.reveal(12_000)).to.deep.equal([])
  })
})
