import { expect } from 'chai'
import fc from 'fast-check'
import { FakeClock } from '../../protocol/clock.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { createMemoryStore } from '../../protocol/store/index.ts'
import { type NodeHistory, newHistory, observe, reliabilityOf } from './history.ts'
import { openReliabilityBook } from './index.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** Hours here and hours away in turn, beginning with here. */
function lived(hours: readonly number[]): NodeHistory {
  let history = newHistory(true, 0)
  let up = true
  let nowMs = 0
  for (const span of hours) {
    nowMs += span * hourMs
    up = !up
    history = observe(history, up, nowMs)
  }
  return history
}

describe('coordinator/reliability', () => {
  it('knows nothing of a newcomer, trusts who stays, and doubts who comes and goes', () => {
    expect(reliabilityOf(newHistory(true, 0))).to.equal(0.5)
    const stayer = reliabilityOf(lived([24 * 14]))
    const evening = reliabilityOf(lived(Array.from({ length: 28 }, () => 12)))
    const flapper = reliabilityOf(lived(Array.from({ length: 28 * 12 }, () => 1)))
    expect(stayer).to.be.greaterThan(0.9)
    expect(evening).to.be.lessThan(0.6).and.greaterThan(flapper)
    expect(flapper).to.be.lessThan(0.3)
  })

  it('stays between 0 and 1, and forgets by halves', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(500), { maxLength: 40 }), (hours) => {
        const history = lived(hours)
        expect(reliabilityOf(history)).to.be.within(0, 1)
        const later = observe(history, history.up, history.atMs + 7 * dayMs)
        expect(later.interruptions).to.be.closeTo(history.interruptions / 2, 1e-9)
      }),
    )
  })

  it('keeps histories over a restart, and counts no absence that was its own', async () => {
    const store = createMemoryStore()
    const node = 'node' as PeerId
    const state = { isHere: true }
    let nowMs = 1_000
    let settled = true
    const open = () =>
      openReliabilityBook({
        ...{ store, nodes: new Map([[node, state]]), isSettled: () => settled },
        ...{ nowMs: () => nowMs, clock: new FakeClock(), logger: silentLogger },
      })
    let book = await open()
    expect(book.of(node)).to.equal(undefined)
    book.look(node)
    nowMs += 5 * dayMs
    await book.stop()
    const before = book.of(node) ?? 0
    expect(before).to.be.greaterThan(0.8)

    // Ten days later it starts anew, and the node takes a minute to come back.
    nowMs += 10 * dayMs
    settled = false
    state.isHere = false
    book = await open()
    book.look(node)
    nowMs += 60_000
    state.isHere = true
    book.look(node)
    settled = true
    expect(book.of(node)).to.be.closeTo(before, 0.01)

    state.isHere = false
    book.look(node)
    nowMs += 3 * dayMs
    book.look(node)
    await book.stop()
    expect(book.of(node)).to.be.lessThan(before - 0.1)
    const after = book.of(node)
    book.look(node)
    expect(book.of(node), 'who stops sees nothing more').to.equal(after)
  })
})
