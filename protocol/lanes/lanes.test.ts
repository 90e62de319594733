import { once } from 'node:events'
import { noise } from '@chainsafe/libp2p-noise'
import type { Connection, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { expect } from 'chai'
import { createLibp2p, type Libp2p } from 'libp2p'
import { encode } from 'uint8-varint'
import { Uint8ArrayList } from 'uint8arraylist'
import { dialPeer, type Mesh } from '../mesh/index.ts'
import { addressOf, createMeshStreet, type MeshStreet } from '../mesh/mesh.fixture.ts'
import type { ByteStream } from '../wire/index.ts'
import { laneNoiseProtocol } from './lane-noise.ts'
import { laneOf } from './lane-of.ts'
import { Lanes } from './lanes.ts'

const protocol = '/test/1'
const noEvents = { addEventListener: () => undefined, removeEventListener: () => undefined }
const soon = () => ({ signal: AbortSignal.timeout(8_000) })

/** Collects what comes until it is `bytes` long. */
async function read(lane: ByteStream, bytes: number): Promise<Buffer> {
  const done = Promise.withResolvers<Buffer>()
  const got: Uint8Array[] = []
  lane.addEventListener('message', ({ data }) => {
    got.push(data.subarray())
    const all = Buffer.concat(got)
    if (all.length >= bytes) done.resolve(all)
  })
  lane.addEventListener('close', () => done.reject(new Error('closed')))
  return await done.promise
}

describe('lanes', () => {
  let street: MeshStreet
  let [one, two] = [] as unknown as [Mesh, Mesh]
  beforeEach(async () => {
    street = createMeshStreet()
    ;[one, two] = [await street.host(), await street.host()]
  })
  afterEach(() => street.stop())

  /** A stream between the two, by both ends. */
  async function streams(): Promise<readonly [Stream, Stream, Connection]> {
    const opened = Promise.withResolvers<Stream>()
    await two.handle(protocol, (stream) => opened.resolve(stream))
    const connection = await dialPeer(one, addressOf(two), soon())
    const stream = await connection.newStream(protocol, soon())
    return [stream, await opened.promise, connection]
  }
  function lane(stream: Stream): ByteStream {
    const found = laneOf(stream)
    if (!found) throw new Error('no lane')
    return found
  }

  it('carry bytes both ways, much and little, in order', async () => {
    const [near, far, connection] = await streams()
    expect(connection.encryption).to.equal(laneNoiseProtocol)
    const [there, back] = [lane(near), lane(far)]
    const sent = Buffer.alloc(1_000_000, 'potluck')
    const got = read(back, sent.length + 3)
    for (const bytes of [sent.subarray(0, 3), sent]) {
      if (!there.send(bytes))
        await new Promise<void>((done) => there.addEventListener('drain', () => done()))
    }
    expect(Buffer.concat([sent.subarray(0, 3), sent]).equals(await got)).to.equal(true)
    const answer = read(there, 2)
    back.send(Uint8Array.of(7, 8))
    expect([...(await answer)]).to.deep.equal([7, 8])
  })

  it('keep what comes before anybody listens', async () => {
    const [near, far] = await streams()
    lane(near).send(Uint8Array.of(1, 2, 3))
    // By the stream itself, behind it: when this is there, so is the other.
    near.send(Uint8Array.of(9))
    await once(far, 'message')
    expect([...(await read(lane(far), 3))]).to.deep.equal([1, 2, 3])
  })

  it('end with their streams', async () => {
    const [near, far] = await streams()
    const [there, back] = [lane(near), lane(far)]
    const closed = new Promise((resolve) => back.addEventListener('close', resolve))
    there.abort(new Error('enough'))
    await closed
    expect(() => there.send(Uint8Array.of(1))).to.throw('closed')
    expect(() => back.send(Uint8Array.of(1))).to.throw('closed')
  })

  it('cost who floods one that nobody listens to the connection', async () => {
    const [near, far, connection] = await streams()
    expect(laneOf(far)).to.not.equal(undefined)
    const there = lane(near)
    const closed = once(connection, 'close')
    for (let sent = 0; sent < 400_000 && connection.status === 'open'; sent += 50_000) {
      there.send(new Uint8Array(50_000))
    }
    await closed
  })

  it('take nothing for streams that are not there', async () => {
    const lanes = new Lanes({ sendLane: () => true, ...noEvents })
    for (let number = 1; number < 10_000; number++) {
      lanes.take(new Uint8ArrayList(encode(number), new Uint8Array(100)))
    }
    expect(() => lanes.take(encode(3))).to.throw(RangeError)
  })

  it('leave nothing to the stream itself', async () => {
    const [near, far] = await streams()
    lane(near)
    lane(far)
    const closed = once(far, 'close').catch(() => undefined)
    near.send(Uint8Array.of(1))
    await closed
    expect(far.status).to.equal('aborted')
  })

  it('are there once for each stream', async () => {
    const [near] = await streams()
    expect(laneOf(near)).to.not.equal(undefined)
    expect(laneOf(near)).to.equal(undefined)
  })

  describe('where a peer knows plain libp2p alone', () => {
    let plain: Libp2p
    beforeEach(async () => {
      plain = await createLibp2p({
        addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
        transports: [tcp()],
        connectionEncrypters: [noise()],
        streamMuxers: [yamux()],
      })
    })
    afterEach(() => plain.stop())

    for (const dials of ['we', 'it'] as const) {
      it(`do without, where ${dials} dial`, async () => {
        const [from, to] = dials === 'we' ? [one, plain] : [plain, one]
        const opened = Promise.withResolvers<Stream>()
        await to.handle(protocol, (stream) => opened.resolve(stream))
        const connection = await from.dial(to.getMultiaddrs(), soon())
        expect(connection.encryption).to.equal('/noise')
        const stream = await connection.newStream(protocol, soon())
        expect([laneOf(stream), laneOf(await opened.promise)]).to.deep.equal([undefined, undefined])
      })
    }
  })
})
