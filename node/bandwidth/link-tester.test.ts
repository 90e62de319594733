import { expect } from 'chai'
import { FakeClock } from '../../protocol/clock.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { type LinkRate, LinkTestRefusedError } from '../../protocol/link-test/index.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { createLinkTester } from './link-tester.ts'

const cache = { peer: 'cache' as PeerId, addresses: [] }
const rate: LinkRate = { upBitsPerS: 1e6, downBitsPerS: 1e7 }
const hourMs = 3_600_000

function setUp(measure: (signal: AbortSignal) => Promise<LinkRate> = async () => rate) {
  const clock = new FakeClock()
  const stop = new AbortController()
  const state = { quiet: true, tests: 0, measured: 0 }
  const tester = createLinkTester({
    ...{ clock, random: () => 0.5, logger: silentLogger, caches: () => [cache] },
    measure: async (_, { signal }) => {
      state.tests += 1
      return await measure(signal)
    },
    isQuiet: () => state.quiet,
    onMeasured: () => {
      state.measured += 1
    },
  })
  const running = tester.run(stop.signal)
  const end = async () => {
    stop.abort(new Error('the test is over'))
    await running
  }
  return { clock, state, tester, end }
}

describe('node/bandwidth: link tester', () => {
  it('tests soon after joining, then every few hours', async () => {
    const { clock, state, end } = setUp()
    await clock.advance(2_000)
    expect(state.measured).to.equal(1)
    await clock.advance(4 * hourMs)
    expect(state.measured).to.equal(1)
    await clock.advance(4 * hourMs)
    expect(state.measured).to.equal(2)
    await end()
  })

  it('tests soon after a change of address', async () => {
    const { clock, state, tester, end } = setUp()
    await clock.advance(2_000)
    tester.testSoon()
    await clock.advance(0)
    await clock.advance(2_000)
    expect(state.measured).to.equal(2)
    await end()
  })

  it('waits while chunks move, and gives a test up for them', async () => {
    let given: unknown
    const { clock, state, end } = setUp(
      (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            given = signal.reason
            reject(new Error('given up', { cause: given }))
          })
        }),
    )
    state.quiet = false
    await clock.advance(60_000)
    expect(state.tests).to.equal(0)
    state.quiet = true
    await clock.advance(6_000)
    expect(state.tests).to.equal(1)
    state.quiet = false
    await clock.advance(500)
    expect((given as Error).message).to.equal('chunks move')
    expect(state.measured).to.equal(0)
    await end()
  })

  it('asks a busy cache again later and later', async () => {
    const { clock, state, end } = setUp(async () => {
      throw new LinkTestRefusedError(cache.peer, 'BUSY')
    })
    await clock.advance(60_000)
    const first = state.tests
    expect(first).to.be.within(3, 8)
    await clock.advance(hourMs)
    expect(state.tests - first).to.be.below(20)
    expect(state.measured).to.equal(0)
    await end()
  })
})
