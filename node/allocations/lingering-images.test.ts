import { expect } from 'chai'
import { FakeClock } from '../../protocol/clock.ts'
import type { Digest } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { newerVersionReason } from '../../protocol/orders/index.ts'
import { createLingeringImages } from './lingering-images.ts'

const [old, other] = ['a', 'b'].map((c) => `sha256:${c.repeat(64)}` as Digest) as [Digest, Digest]
const replaced = { code: 'REVOKED', message: newerVersionReason }

describe('node/allocations: images between two versions', () => {
  function bench() {
    const removed: Digest[] = []
    const clock = new FakeClock()
    const engine = { removeImage: async (image: Digest) => void removed.push(image) }
    const images = createLingeringImages({ engine, clock, logger: silentLogger })
    return { images, removed, clock }
  }
  const nobody = (): boolean => false

  it('keeps an image for a newer version alone, and no longer than that may take', async () => {
    const { images, removed, clock } = bench()
    for (const end of [undefined, { code: 'REVOKED', message: 'the group is gone' }]) {
      expect(images.keep(other, end)).to.equal(false)
    }
    expect(images.keep(old, replaced)).to.equal(true)
    await clock.advance(29_000)
    images.tick(nobody)
    expect([images.has(old), removed]).to.deep.equal([true, []])
    await clock.advance(1_000)
    images.tick(nobody)
    expect([images.has(old), removed]).to.deep.equal([false, [old]])
  })

  it('leaves alone what runs again, and removes all when the node stops', async () => {
    const { images, removed, clock } = bench()
    images.keep(old, replaced)
    images.tick((image) => image === old)
    await clock.advance(60_000)
    images.tick(nobody)
    expect(removed).to.deep.equal([])
    images.keep(other, replaced)
    await images.flush()
    expect(removed).to.deep.equal([other])
  })
})
