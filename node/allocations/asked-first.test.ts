import { expect } from 'chai'
import { Bitfield, createLayout, parseDescriptor } from '../../protocol/bundle/index.ts'
import { sampleBundle } from '../../protocol/bundle/sample-bundle.ts'
import { FakeClock } from '../../protocol/clock.ts'
import { askedFirst } from './asked-first.ts'

const chunkBytes = 64 * 1024

/** A bundle of a config and two layers of 20 chunks, of which `held` are here. */
async function bench(held: (chunk: number) => boolean) {
  const { descriptorBytes } = await sampleBundle([2, 20 * chunkBytes, 20 * chunkBytes])
  const layout = createLayout(parseDescriptor(descriptorBytes))
  const bits = new Bitfield(layout.chunkCount)
  for (let chunk = 0; chunk < layout.chunkCount; chunk += 1) bits.set(chunk, held(chunk))
  const arrivals = new Map<number, PromiseWithResolvers<void>>()
  const clock = new FakeClock()
  const preferred: number[] = []
  const source = askedFirst(
    {
      layout,
      held: bits,
      readRun: async () => new Uint8Array(),
      whenHeld: (chunk) => {
        const arrival = Promise.withResolvers<void>()
        arrivals.set(chunk, arrival)
        if (bits.has(chunk)) arrival.resolve()
        return arrival.promise
      },
    },
    { prefer: (chunk) => preferred.push(chunk), clock },
  )
  const ask = (chunk: number) => source.whenHeld(chunk, { signal: new AbortController().signal })
  const arrive = async (chunk: number): Promise<void> => {
    bits.set(chunk)
    arrivals.get(chunk)?.resolve()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { ask, arrive, clock, preferred }
}

describe('node/allocations: what the engine asks for first', () => {
  it('prefers nothing while the engine reads from the bottom', async () => {
    const { ask, arrive, clock, preferred } = await bench((chunk) => chunk === 0)
    const upper = ask(21)
    const lower = ask(1)
    await clock.advance(3_000)
    await arrive(1)
    await clock.advance(3_000)
    expect(preferred).to.deep.equal([])
    await arrive(21)
    await Promise.all([lower, upper])
  })

  it('prefers a layer that is waited for while nobody reads those below', async () => {
    const { ask, arrive, clock, preferred } = await bench((chunk) => chunk === 0 || chunk === 23)
    const first = ask(22)
    await clock.advance(999)
    expect(preferred).to.deep.equal([])
    await clock.advance(1)
    expect(preferred).to.deep.equal([22, ...Array.from({ length: 14 }, (_, n) => 24 + n)])
    preferred.length = 0
    await arrive(22)
    await first
    void ask(40) // the last of the layer: nothing after it
    expect(preferred).to.deep.equal([40])
  })

  it('prefers nothing that arrives in time, nor when nothing is missing below', async () => {
    const { ask, arrive, clock, preferred } = await bench((chunk) => chunk < 21)
    const asked = ask(25)
    await clock.advance(5_000)
    expect(preferred).to.deep.equal([])
    await arrive(25)
    await asked
  })
})
