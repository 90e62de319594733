import { Socket } from 'node:net'
import { expect } from 'chai'
import { dialPeer } from './link.ts'
import { addressOf, createMeshStreet, type MeshStreet } from './mesh.fixture.ts'

describe('mesh/thrifty-tcp', () => {
  let street: MeshStreet
  beforeEach(() => {
    street = createMeshStreet()
  })
  afterEach(() => street.stop())

  /** A stream to a host that sends back what it gets. */
  async function echoed(bytes: Uint8Array): Promise<Buffer> {
    const [from, to] = [await street.host(), await street.host()]
    await to.handle('/echo/1', (stream) => {
      stream.addEventListener('message', ({ data }) => void stream.send(data))
    })
    const { signal } = new AbortController()
    const connection = await dialPeer(from, addressOf(to), { signal })
    const stream = await connection.newStream('/echo/1')
    const got: Uint8Array[] = []
    const all = Promise.withResolvers<void>()
    let missing = bytes.length
    stream.addEventListener('message', ({ data }) => {
      got.push(data.subarray())
      missing -= data.byteLength
      if (missing <= 0) all.resolve()
    })
    stream.send(bytes)
    await all.promise
    return Buffer.concat(got)
  }

  it('loses nothing and mixes nothing up, also when the socket is full', async () => {
    const bytes = Uint8Array.from({ length: 3_000_000 }, (_, at) => at % 251)
    expect((await echoed(bytes)).equals(bytes)).to.equal(true)
  })

  it('lets no piece of a message go by itself', async () => {
    const write = Socket.prototype.write
    let alone = 0
    Socket.prototype.write = function (this: Socket, ...args: unknown[]) {
      if (this.writableCorked === 0) alone += 1
      return Reflect.apply(write, this, args)
    }
    try {
      await echoed(new Uint8Array(100))
    } finally {
      Socket.prototype.write = write
    }
    expect(alone).to.equal(0)
  })
})
