import { EventEmitter, once } from 'node:events'
import type { Socket } from 'node:net'
import { expect } from 'chai'
import { readGathered } from './gathered-reads.ts'

/** Ethernet's 1500 without headers. */
const packet = new Uint8Array(1_448)

function setUp() {
  const calls = new EventEmitter()
  const handle = {
    reading: true,
    stops: 0,
    starts: 0,
    readStart() {
      handle.starts += 1
      calls.emit('start')
    },
    readStop() {
      handle.stops += 1
    },
  }
  let nowMs = 0
  const socket = Object.assign(new EventEmitter(), { _handle: handle as typeof handle | null })
  readGathered(socket as unknown as Socket, { now: () => nowMs })
  const came = (bytes: Uint8Array, afterMs: number): void => {
    nowMs += afterMs
    socket.emit('data', bytes)
  }
  return { socket, handle, calls, came }
}

describe('mesh/gathered-reads', () => {
  it('leaves packets that follow one another to the kernel for a while', async () => {
    const { handle, calls, came } = setUp()
    came(packet, 1_000)
    expect(handle.stops).to.equal(0)
    came(packet, 2)
    expect(handle).to.include({ stops: 1, starts: 0 })
    await once(calls, 'start')
    came(packet, 25)
    expect(handle).to.include({ stops: 2, starts: 1 })
    await once(calls, 'start')
  })

  it('reads what comes alone, is short, or is much at once, as it comes', () => {
    const { handle, came } = setUp()
    came(packet, 1_000)
    came(packet, 1_000)
    came(new Uint8Array(100), 1)
    came(new Uint8Array(100), 1)
    came(new Uint8Array(64 << 10), 1)
    expect(handle.stops).to.equal(0)
  })

  it('does not wait for what comes faster than any wait would gather it', () => {
    const { handle, came } = setUp()
    came(packet, 1_000)
    came(new Uint8Array(12_000), 0.3)
    expect(handle.stops).to.equal(0)
    came(new Uint8Array(12_000), 0.5)
    expect(handle.stops).to.equal(1)
  })

  it('starts nothing that Node itself has stopped, and no socket that is gone', async () => {
    const { socket, handle, came } = setUp()
    came(packet, 1_000)
    came(packet, 1)
    handle.reading = false
    came(packet, 1)
    expect(handle.stops).to.equal(1)
    const other = setUp()
    other.came(packet, 1_000)
    other.came(packet, 1)
    other.socket._handle = null
    // Timers end in the order of their times: both have by then.
    const last = setUp()
    last.came(packet, 1_000)
    last.came(packet, 50)
    await once(last.calls, 'start')
    expect([handle.starts, other.handle.starts]).to.deep.equal([0, 0])
    socket._handle = null
    expect(() => came(packet, 1)).not.to.throw()
  })
})
