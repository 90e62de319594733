import { expect } from 'chai'
import type { PeerId } from '../../protocol/ids.ts'
import { createMemoryStore } from '../../protocol/store/index.ts'
import { openCrowdBook } from './crowd.ts'
import { createSettling } from './settling.ts'

const nodes = (count: number): ReadonlySet<PeerId> =>
  new Set(Array.from({ length: count }, (_, index) => `node-${index}` as PeerId))
const startedMs = 1_000
const windowOf = (init: Partial<Parameters<typeof createSettling>[0]>): number =>
  createSettling({ startedMs, expected: nodes(1), ...init }).endMs - startedMs

describe('the reconnect window', () => {
  it('lasts a minute, or two handshakes of all that are known', () => {
    expect(windowOf({})).to.equal(60_000)
    expect(windowOf({ expected: nodes(10_000) })).to.equal(160_000)
    expect(windowOf({ crowd: { nodes: 10_000, handshakeMs: 12 } })).to.equal(240_000)
    expect(windowOf({ crowd: { nodes: 100, handshakeMs: 12 } })).to.equal(60_000)
    expect(windowOf({ windowMs: 3_000, expected: nodes(10_000) })).to.equal(3_000)
  })

  it('ends early when all are back, unless what a restored store lacks may still come', () => {
    const backAt = (waitAll: boolean): boolean => {
      const settling = createSettling({ startedMs, expected: nodes(2), waitAll })
      settling.update(2_000, (node) => node === 'node-0')
      expect(settling.settled).to.equal(false)
      expect([...settling.missing]).to.deep.equal(['node-1'])
      settling.update(3_000, () => true)
      return settling.settled
    }
    expect(backAt(false)).to.equal(true)
    expect(backAt(true)).to.equal(false)
  })

  it('is measured for the next time', async () => {
    const store = createMemoryStore()
    const first = await openCrowdBook({ store })
    expect(first.last).to.deep.equal({ nodes: 0, handshakeMs: 8 })
    await first.note(1_000, 15_000)
    expect((await openCrowdBook({ store })).last).to.deep.equal({ nodes: 1_000, handshakeMs: 15 })
    await first.note(3, 90_000)
    expect((await openCrowdBook({ store })).last).to.deep.equal({ nodes: 3, handshakeMs: 15 })
  })
})
