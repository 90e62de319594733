import { expect } from 'chai'
import { chunksCame, makeHeapRoom } from './heap-room.ts'

const chunkBytes = 64 * 1024

/** The most that buffers took while 256 MB of them came and went. */
function peakMB(onChunk: (bytes: number) => void): number {
  let peak = 0
  const before = process.memoryUsage().arrayBuffers
  for (let chunk = 0; chunk < 4_000; chunk++) {
    for (let copy = 0; copy < 3; copy++) Buffer.allocUnsafeSlow(chunkBytes).fill(copy, 0, 1)
    onChunk(chunkBytes)
    if (chunk % 16 === 0) peak = Math.max(peak, process.memoryUsage().arrayBuffers - before)
  }
  return peak / 1e6
}

describe('swarm/heap-room', () => {
  it('lets go of what chunks passed through before it piles up', () => {
    const done = makeHeapRoom()
    try {
      const without = peakMB(() => undefined)
      expect(peakMB(chunksCame)).to.be.below(Math.min(without * 0.75, 40))
    } finally {
      done()
    }
  })

  it('leaves no gc in the global scope', () => {
    chunksCame(1 << 30)
    expect(globalThis).to.not.have.property('gc')
  })
})
