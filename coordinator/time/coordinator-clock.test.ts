import { expect } from 'chai'
import fc from 'fast-check'
import { FakeClock } from '../../protocol/clock.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { createMemoryStore } from '../../protocol/store/index.ts'
import { createCoordinatorClock } from './index.ts'

describe('coordinator/time', () => {
  it('goes on seamlessly over a restart within one boot, whatever the wall clock says', async () => {
    const store = createMemoryStore()
    const clock = new FakeClock(5_000)
    const parts = { store, clock, bootId: 'a', logger: silentLogger }
    const first = await createCoordinatorClock({ ...parts, wallMs: () => 1_000_000 })
    expect(first.nowMs()).to.equal(1_000_000)
    await clock.advance(4_000)
    expect(first.nowMs()).to.equal(1_004_000)
    const second = await createCoordinatorClock({ ...parts, wallMs: () => 7 })
    expect(second.nowMs()).to.equal(1_004_000)
    await first.stop()
    await second.stop()
  })

  it('never goes back over kills, reboots and wall clocks that jump', async () => {
    const step = fc.record({
      runsMs: fc.nat(60_000),
      reboot: fc.boolean(),
      wallMs: fc.nat(2_000_000),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        const store = createMemoryStore()
        let clock = new FakeClock(1_000)
        let boot = 0
        let highestMs = 0
        for (const { runsMs, reboot, wallMs } of steps) {
          const time = await createCoordinatorClock({
            ...{ store, clock, bootId: `boot-${boot}`, logger: silentLogger },
            wallMs: () => wallMs,
          })
          expect(time.nowMs()).to.be.at.least(highestMs)
          await clock.advance(runsMs)
          expect(time.nowMs()).to.be.at.least(highestMs)
          highestMs = time.nowMs()
          // Killed: `stop` is called only so that the test leaves nothing behind.
          await time.stop()
          if (reboot) {
            boot++
            clock = new FakeClock(10)
          }
        }
      }),
      { numRuns: 50 },
    )
  })
})
