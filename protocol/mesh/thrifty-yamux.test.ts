import { once } from 'node:events'
import { Socket } from 'node:net'
import { expect } from 'chai'
import { dialPeer } from './link.ts'
import { addressOf, createMeshStreet, type MeshStreet } from './mesh.fixture.ts'

describe('mesh/thrifty-yamux', () => {
  let street: MeshStreet
  beforeEach(() => {
    street = createMeshStreet()
  })
  afterEach(() => street.stop())

  /** Sends messages one by one, the next when the last has come. Returns the bytes that came. */
  async function send(messages: number, bytes: number): Promise<number> {
    const [from, to] = [await street.host(), await street.host()]
    const heard = new EventTarget()
    let got = 0
    await to.handle('/count/1', (stream) => {
      stream.addEventListener('message', ({ data }) => {
        got += data.byteLength
        if (got % bytes === 0) heard.dispatchEvent(new Event('whole'))
      })
    })
    const { signal } = new AbortController()
    const connection = await dialPeer(from, addressOf(to), { signal })
    const stream = await connection.newStream('/count/1')
    for (let sent = 0; sent < messages; sent++) {
      const whole = once(heard, 'whole')
      stream.send(new Uint8Array(bytes))
      await whole
    }
    return got
  }

  it('answers no short message with an update of the window', async () => {
    const messages = 200
    const write = Socket.prototype.write
    let short = 0
    // A window's update takes 12 bytes and what Noise adds.
    Socket.prototype.write = function (this: Socket, ...args: unknown[]) {
      if ((args[0] as Uint8Array).length === 12 + 16) short += 1
      return Reflect.apply(write, this, args)
    }
    try {
      await send(messages, 20)
    } finally {
      Socket.prototype.write = write
    }
    expect(short).to.be.below(messages / 4)
  })

  it('gives the window back before it is used up, however much is sent', async () => {
    expect(await send(100, 64 << 10)).to.equal(100 * (64 << 10))
    expect(await send(4, 3 << 20)).to.equal(4 * (3 << 20))
  })
})
