import { expect } from 'chai'
import { FakeClock } from '../../protocol/clock.ts'
import { unlimitedBitsPerS } from '../../protocol/config/index.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import type { SwarmLimits } from '../../protocol/swarm/index.ts'
import { type BandwidthSettings, createBandwidth } from './bandwidth.ts'
import { firstBytesPerS } from './headroom.ts'

/** A Monday noon, wherever this runs. */
const mondayMs = new Date(2026, 10, 23, 12).getTime()

function setUp(settings: BandwidthSettings = { schedule: [] }) {
  const clock = new FakeClock()
  const bandwidth = createBandwidth(settings, {
    ...{ clock, wallMs: () => mondayMs + clock.nowMs(), logger: silentLogger },
  })
  const stop = new AbortController()
  const set: SwarmLimits[] = []
  const state = { uploadedBytes: 0, downloadedBytes: 0, pings: 0 }
  const running = bandwidth.run(
    { setLimits: (limits) => set.push(limits), stats: () => ({ ...state }) },
    () => {
      state.pings += 1
    },
    stop.signal,
  )
  const end = async () => {
    stop.abort(new Error('the test is over'))
    await running
  }
  return { clock, bandwidth, set, state, end }
}

describe('node/bandwidth', () => {
  it('keeps what the chef set, by the hour, and by a wish for a while before all', async () => {
    const { clock, bandwidth, set, end } = setUp({
      uploadBitsPerS: 8e6,
      schedule: ['mon 13:00-14:00 upload 16mbit download 80mbit'],
    })
    expect(set.at(-1)).to.deep.equal({ uploadBytesPerS: 1e6 })
    await clock.advance(3_600_000)
    expect(set.at(-1)).to.deep.equal({ uploadBytesPerS: 2e6, downloadBytesPerS: 10e6 })
    bandwidth.hold({ uploadBitsPerS: 4e6 }, 600_000)
    await clock.advance(1_000)
    expect(set.at(-1)).to.deep.equal({ uploadBytesPerS: 0.5e6, downloadBytesPerS: 10e6 })
    await clock.advance(600_000)
    expect(set.at(-1)).to.deep.equal({ uploadBytesPerS: 2e6, downloadBytesPerS: 10e6 })
    await clock.advance(3_600_000)
    expect(set.at(-1)).to.deep.equal({ uploadBytesPerS: 1e6 })
    await end()
  })

  it('takes other settings live, and none that are wrong', async () => {
    const { clock, bandwidth, set, end } = setUp({ uploadBitsPerS: 8e6, schedule: [] })
    bandwidth.apply({ uploadBitsPerS: unlimitedBitsPerS, downloadBitsPerS: 8e6, schedule: [] })
    await clock.advance(1_000)
    expect(set.at(-1)).to.deep.equal({ downloadBytesPerS: 1e6 })
    expect(() => bandwidth.apply({ schedule: ['never'] })).to.throw('never')
    await clock.advance(5_000)
    expect(set.at(-1)).to.deep.equal({ downloadBytesPerS: 1e6 })
    await end()
  })

  it('begins low where nothing is set, and leaves headroom once the line is measured', async () => {
    const { clock, bandwidth, set, state, end } = setUp()
    expect(set).to.deep.equal([{ uploadBytesPerS: firstBytesPerS, gentle: true }])
    bandwidth.measured({ upBitsPerS: 80e6, downBitsPerS: 400e6 })
    await clock.advance(1_000)
    expect(set.at(-1)?.uploadBytesPerS).to.be.closeTo(8.5e6, 1)
    expect(bandwidth.linkRates()).to.deep.equal({ uploadBytesPerS: 10e6, downloadBytesPerS: 50e6 })
    await clock.advance(60_000)
    expect(state.pings, 'an idle home asks nobody').to.equal(0)
    for (let step = 0; step < 40; step++) {
      state.uploadedBytes += 2_000_000
      bandwidth.roundTrip(step < 8 ? 20 : 200)
      await clock.advance(250)
    }
    expect(state.pings).to.be.above(20)
    expect(set.at(-1)?.uploadBytesPerS).to.be.below(6e6)
    await end()
  })

  it('says of the line no more than its chef allows', async () => {
    const { bandwidth, end } = setUp({ uploadBitsPerS: 2e6, schedule: [] })
    expect(bandwidth.link()).to.equal(undefined)
    expect(bandwidth.linkRates(), 'a limit is a guess').to.deep.equal({ uploadBytesPerS: 250_000 })
    bandwidth.measured({ upBitsPerS: 20e6, downBitsPerS: 100e6 })
    expect(bandwidth.link()).to.include({ upBitsPerS: 2e6, downBitsPerS: 100e6 })
    await end()
  })

  it('knows when nothing moves', async () => {
    const { clock, bandwidth, state, end } = setUp()
    await clock.advance(5_000)
    expect(bandwidth.isQuiet()).to.equal(true)
    state.downloadedBytes += 1
    await clock.advance(1_000)
    expect(bandwidth.isQuiet()).to.equal(false)
    await clock.advance(4_000)
    expect(bandwidth.isQuiet()).to.equal(true)
    await end()
  })
})
