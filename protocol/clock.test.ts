import { uptime } from 'node:os'
import { expect } from 'chai'
import { bootTimeMs } from './clock.ts'

describe('the boot clock', () => {
  it('says how long the machine has run, each time anew', () => {
    for (let turn = 0; turn < 3; turn += 1) {
      const beforeMs = uptime() * 1000
      const nowMs = bootTimeMs()
      expect(nowMs).to.be.within(beforeMs, uptime() * 1000)
      // The clock of the kernel's file has steps of 10 ms.
      while (uptime() * 1000 === beforeMs);
    }
  })
})
