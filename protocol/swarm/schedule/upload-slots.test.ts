import { expect } from 'chai'
import { UploadSlots } from './upload-slots.ts'

describe('swarm/schedule/upload-slots', () => {
  it('lends two slots, and no more while the uplink is what is waited for', () => {
    const slots = new UploadSlots<string>({ uploadBytesPerS: () => 1_250_000 })
    const first = slots.start('a', 65_536, 0)
    expect(slots.free(0)).to.equal(true)
    slots.start('b', 65_536, 0)
    // Two chunks of 64 KiB take 105 ms of 10 Mbit/s.
    expect(slots.free(105)).to.equal(false)
    slots.end(first)
    expect(slots.free(105)).to.equal(true)
  })

  it('sends a chunk that hardly anybody has alone, where it takes a while', () => {
    const slots = new UploadSlots<string>({ uploadBytesPerS: () => 1_250_000 })
    const rare = slots.start('a', 65_536, 0, 0)
    expect(slots.free(50)).to.equal(false)
    expect(slots.waitMs(0), 'the line is its own').to.be.within(52, 60)
    slots.end(rare)
    slots.start('b', 65_536, 0, 20)
    expect(slots.free(0)).to.equal(true)
    const fast = new UploadSlots<string>({ uploadBytesPerS: () => 125_000_000 })
    fast.start('a', 65_536, 0, 0)
    expect(fast.free(0), 'the next one is read meanwhile').to.equal(true)
  })

  it('takes the slot of a send that waits for its receiver', () => {
    const slots = new UploadSlots<string>({ uploadBytesPerS: () => 125_000_000 })
    slots.start('slow', 65_536, 0)
    slots.start('slow', 65_536, 0)
    const waitMs = slots.waitMs(0) ?? 0
    expect(waitMs).to.be.within(1, 10)
    expect(slots.free(waitMs)).to.equal(true)
    expect(slots.mayServe('slow')).to.equal(false)
    expect(slots.mayServe('other')).to.equal(true)
  })

  it('bounds the sends that wait for slow receivers', () => {
    const slots = new UploadSlots<string>({ uploadBytesPerS: () => 125_000_000 })
    for (let at = 0; at < 64; at++) slots.start(`home-${at}`, 1, 0)
    expect(slots.free(60_000)).to.equal(false)
    expect(slots.olderThan(30_000, 60_000)).to.have.length(64)
  })

  it('holds a slot for two seconds at most where no rate is known', () => {
    const slots = new UploadSlots<string>({ slots: 1, uploadBytesPerS: () => undefined })
    slots.start('a', 65_536, 0)
    expect(slots.free(1_999)).to.equal(false)
    expect(slots.free(2_000)).to.equal(true)
  })
})
