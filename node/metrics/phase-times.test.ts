import { expect } from 'chai'
import { FakeClock } from '../../protocol/clock.ts'
import type { BundleId } from '../../protocol/ids.ts'
import type { Transfer } from '../allocations/image-fetcher.ts'
import type { ImageFetcher } from '../allocations/index.ts'
import type { Engine } from '../engine/index.ts'
import { createPhaseTimes } from './phase-times.ts'

const { signal } = new AbortController()

describe('node metrics: phase times', () => {
  it('times unpacking from the last chunk on, and only what ended well', async () => {
    const clock = new FakeClock()
    const times = createPhaseTimes({ clock })
    let fails = false
    const images = times.images({
      transfer: () => ({
        pull: async (_: unknown, { onUnpacking }: Parameters<Transfer['pull']>[1]) => {
          await clock.advance(1_000)
          onUnpacking()
          await clock.advance(250)
          if (fails) throw new Error('unpacking failed')
          return 'reference'
        },
      }),
    } as unknown as ImageFetcher)
    let told = 0
    const pull = () =>
      images.transfer('bundle' as BundleId).pull({} as never, { signal, onUnpacking: () => told++ })
    expect(await pull()).to.equal('reference')
    fails = true
    expect(await pull().catch(() => 'failed')).to.equal('failed')
    expect(told).to.equal(2)
    expect(times.sums()).to.deep.equal({
      ...{ unpack: { ms: 250, count: 1 }, start: { ms: 0, count: 0 } },
    })
  })

  it('times starts, and leaves the rest of the engine as it is', async () => {
    const clock = new FakeClock()
    const times = createPhaseTimes({ clock })
    const engine = times.engine({
      list: async () => [],
      run: async () => {
        await clock.advance(70)
        return { id: 'c1' }
      },
    } as unknown as Engine)
    expect(await engine.list({ signal })).to.deep.equal([])
    expect(await engine.run({} as never, { signal })).to.deep.equal({ id: 'c1' })
    expect(times.sums().start).to.deep.equal({ ms: 70, count: 1 })
  })
})
