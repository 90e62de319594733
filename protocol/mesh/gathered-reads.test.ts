import { EventEmitter, once } from 'node:events'
import type { Socket } from 'node:net'
import { expect } from 'chai'
import { readGathered } from './gathered-reads.ts'

/** Ethernet's 1500 without headers. */
const packet = new Uint8Array(1_448)

function setUp(missingBytes = (): number => 0) {
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
  readGathered(socket as unknown as Socket, { missingBytes, now: () => nowMs })
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

  it('does not take bursts with pauses between them for a slow line', () => {
    const { handle, came } = setUp(() => 40_000)
    for (let burst = 0; burst < 60; burst++) {
      came(new Uint8Array(4_000), 5)
      for (let read = 0; read < 7; read++) came(new Uint8Array(65_536), 0.1)
    }
    const { stops } = handle
    for (let burst = 0; burst < 20; burst++) {
      came(new Uint8Array(4_000), 5)
      for (let read = 0; read < 7; read++) came(new Uint8Array(65_536), 0.1)
    }
    expect(handle.stops).to.equal(stops)
  })

  it('leaves the kernel what comes of a record until most of the rest should be there', async () => {
    const { handle, calls, came } = setUp(() => 20_000)
    // 100 bytes a ms: the rest takes 200 ms.
    for (let at = 0; at < 30; at++) came(new Uint8Array(2_000), 20)
    const [stops, startedMs] = [handle.stops, performance.now()]
    came(new Uint8Array(2_000), 20)
    expect(handle.stops).to.equal(stops + 1)
    await once(calls, 'start')
    while (handle.starts < handle.stops) await once(calls, 'start')
    expect(performance.now() - startedMs).to.be.above(150)
  })
})
