import { expect } from 'chai'
import type { NetworkId, Term } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { type Pulse, pulseCodec } from '../../protocol/orders/index.ts'
import { createSigner } from '../../protocol/signing/index.ts'
import { createMemoryStore, type Store } from '../../protocol/store/index.ts'
import { openPulses, type Pulses } from './index.ts'

const settled = { settled: true, holding: false }

describe('the coordinator’s pulses', () => {
  let nowMs = 1_000_000
  const open = (store: Store): Promise<Pulses> =>
    openPulses(
      { everyMs: 5_000 },
      {
        ...{ store, signer: createSigner(new Uint8Array(32)), logger: silentLogger },
        ...{ network: 'ab'.repeat(16) as NetworkId, term: 1 as Term, nowMs: () => nowMs },
      },
    )
  const made = (pulses: Pulses, facts = settled): Pulse => {
    const signed = pulses.now(facts)
    if (!signed) throw new Error('no pulse')
    return pulseCodec.decode(signed.payload)
  }

  it('are made when due, and at once when they would not be true any more', async () => {
    const pulses = await open(createMemoryStore())
    const first = made(pulses, { settled: false, holding: false })
    nowMs += 4_999
    expect(made(pulses, { settled: false, holding: false })).to.deep.equal(first)
    const next = made(pulses)
    expect(next).to.include({ number: first.number + 1, settled: true, timeMs: nowMs })
    expect(made(pulses, { settled: true, holding: true }).number).to.equal(next.number + 1)
    nowMs += 5_000
    expect(made(pulses).number).to.equal(next.number + 2)
  })

  it('are numbered ever higher over restarts, and outlast what is reserved', async () => {
    const store = createMemoryStore()
    let last = 0
    for (let starts = 0; starts < 3; starts++) {
      const pulses = await open(store)
      for (let more = 0; more < 1_500; more++) {
        nowMs += 5_000
        const { number } = made(pulses)
        expect(number).to.be.above(last)
        last = number
        await Promise.resolve()
        if (more % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
    }
  })

  it('tell a store that has gone back, whether or not it has caught up in numbers', async () => {
    const store = createMemoryStore()
    const before = await open(store)
    const known = made(before)
    const backup = createMemoryStore()
    for await (const [key, value] of store.entries({})) await backup.put(key, value)
    const ahead = await open(store)
    const shown = made(ahead)
    expect(ahead.isForeign(shown)).to.equal(false)
    expect(ahead.isForeign(known)).to.equal(false)
    const restored = await open(backup)
    expect(restored.isForeign(known)).to.equal(false)
    expect(restored.isForeign(shown)).to.equal(true)
    nowMs += 60_000
    expect(made(restored).number).to.equal(shown.number)
    expect(restored.isForeign(shown)).to.equal(true)
  })
})
