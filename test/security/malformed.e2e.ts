/**
 * Noise over the wire at real processes: each libp2p protocol of Potluck, the bare ports, the API.
 * The stream that brought it may end; the process, other streams and the memory stay.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import { expect } from 'chai'
import { controlProtocol } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { dialPeer, type PeerAddress } from '../../protocol/mesh/index.ts'
import { chunksProtocol } from '../../protocol/swarm/wire.ts'
import type { Member } from '../chaos/member.ts'
import type { InstanceSight } from './api.ts'
import { addressOf, createStranger, networkOf, type Stranger, soon } from './stranger.ts'
import { startTarget, type Target } from './target.ts'

const group = 'goes-on'
/** What one process may grow by while it is shouted at. */
const growthBytesMax = 200 << 20

/** A length as varint (LEB128). */
function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return Uint8Array.from([...bytes, left])
    bytes.push((left % 128) | 0x80)
  }
}
const frame = (body: Uint8Array): Uint8Array => Buffer.concat([varint(body.length), body])

const noises: Record<string, () => readonly Uint8Array[]> = {
  'random bytes': () => Array.from({ length: 40 }, () => randomBytes(randomInt(1, 2_000))),
  'frames of random bytes': () => [frame(randomBytes(300)), frame(randomBytes(9))],
  'a truncated frame': () => [varint(4_000), randomBytes(100)],
  'an oversized length': () => [varint(2 ** 40), randomBytes(1_000)],
  'an endless length': () => [new Uint8Array(4_096).fill(0xff)],
  'a frame longer than allowed': () => [varint(64 << 20), ...Array(64).fill(randomBytes(1 << 20))],
  'empty frames': () => [new Uint8Array(5_000)],
  // CBOR: nested arrays, a map of a billion, an indefinite string, a tag, a float.
  'deep CBOR': () => [frame(new Uint8Array(8_000).fill(0x81))],
  'a huge CBOR map': () => [frame(Uint8Array.from([0xbb, 0, 0, 0, 0, 0x3b, 0x9a, 0xca, 0]))],
  'CBOR of another shape': () => [
    frame(Uint8Array.from([0xa1, 0x61, 0x74, 0x64, 0x6a, 0x6f, 0x69, 0x6e])),
    frame(Uint8Array.from([0xd8, 0x20, 0xf6])),
    frame(Uint8Array.from([0x5f, 0x41, 0x00, 0xff])),
  ],
  nothing: () => [],
}

describe('noise over the wire', function () {
  this.timeout(120_000)
  let target: Target
  let stranger: Stranger
  let addresses: Map<Member, PeerAddress>
  let before_: readonly InstanceSight[]
  let memory: Map<Member, number>

  before(async () => {
    target = await startTarget({ engine: 'simulated', nodes: 2 })
    const network = await networkOf(target)
    stranger = await createStranger()
    const container = { image: 'registry.example/app:1', resources: { cpu: 1, memory: 1_024 } }
    await target.api.create({ name: group, replicas: 2, container })
    before_ = await target.api.running(group, 2)
    const peers = [target.cache, ...target.nodes]
    addresses = new Map(
      await Promise.all(peers.map(async (it) => [it, await addressOf(it)] as const)),
    )
    const peer = target.coordinator.peer as PeerId
    addresses.set(target.coordinator, { peer, addresses: network.coordinatorAddrs })
    memory = await memories()
  })
  after(async () => {
    await stranger?.mesh.stop()
    await target?.stop()
  })
  afterEach(async () => {
    for (const { name, isUp, starts } of target.all) {
      expect({ name, isUp, starts }).to.deep.equal({ name, isUp: true, starts: 1 })
    }
    const facts = ({ id, potluck }: InstanceSight) => `${id} ${potluck.epoch}`
    const now = await target.api.running(group, 2)
    expect(now.map(facts).toSorted()).to.deep.equal(before_.map(facts).toSorted())
  })

  const memories = async (): Promise<Map<Member, number>> =>
    new Map(
      await Promise.all(
        target.all.map(async (member) => {
          const status = await readFile(`/proc/${member.pid}/status`, 'utf8')
          return [member, Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1_024] as const
        }),
      ),
    )

  const shout = async (to: PeerAddress, protocol: string, pieces: readonly Uint8Array[]) => {
    const connection = await dialPeer(stranger.mesh, to, soon())
    const stream = await connection.newStream(protocol, soon())
    for (const piece of pieces) {
      if (stream.status !== 'open') break
      try {
        if (!stream.send(piece)) await Promise.race([drained(stream), sleep(300)])
      } catch {
        break // it was ended by the other side, as it should be
      }
    }
    await Promise.race([stream.close(soon(500)).catch(() => undefined), sleep(500)])
    stream.abort(new Error('done'))
  }

  for (const [name, make] of Object.entries(noises)) {
    it(`${name}: harms nobody else`, async () => {
      const { coordinator } = target
      for (const [member, address] of addresses) {
        const protocol = member === coordinator ? controlProtocol : chunksProtocol
        await Promise.all(Array.from({ length: 5 }, () => shout(address, protocol, make())))
      }
    })
  }

  it('ended those streams with an error that says why', async () => {
    const lines = await target.coordinator.log()
    const ends = lines.filter(({ msg }) => msg === 'a control stream ended')
    const codes = ends.map(({ error }) => (error as { code?: string }).code)
    expect(codes).to.include.members(['MALFORMED_MESSAGE', 'MESSAGE_TOO_LARGE', 'CHANNEL_CLOSED'])
  })

  it('streams left half open for ever are bounded', async () => {
    for (const [member, address] of addresses) {
      const connection = await dialPeer(stranger.mesh, address, soon())
      const protocol = member === target.coordinator ? controlProtocol : chunksProtocol
      const opened = await Promise.allSettled(
        Array.from({ length: 100 }, () => connection.newStream(protocol, soon(4_000))),
      )
      const streams = opened.flatMap((it) => (it.status === 'fulfilled' ? [it.value] : []))
      for (const stream of streams) stream.abort(new Error('done'))
      await connection.close(soon()).catch(() => undefined)
    }
    // Others are answered as before.
    await dialPeer(stranger.mesh, addresses.get(target.coordinator)!, soon())
  })

  it('bytes at the bare ports, before any handshake', async () => {
    for (const {
      addresses: [address = ''],
    } of addresses.values()) {
      const port = Number(/tcp\/(\d+)/.exec(address)?.[1])
      const talks = Array.from({ length: 20 }, (_, number) =>
        sendRaw(
          port,
          number % 2 === 0
            ? randomBytes(5_000)
            : Buffer.from('\x13/multistream/1.0.0\n\xff\xff\xff\xff\x7f'),
        ),
      )
      await Promise.all(talks)
    }
  })

  it('garbage at the API', async () => {
    const port = Number(new URL(target.facts.baseUrl).port)
    const requests = [
      randomBytes(10_000),
      'GET / HTTP/1.1\r\n\r\n',
      `GET /${'a'.repeat(70_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
      `GET / HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(20_000)}\r\n`,
      'POST /api/public/organizations/default/projects/default/containers HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n',
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      'CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET http://127.0.0.1:22/ HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /..%2f..%2f..%2fetc/passwd HTTP/1.1\r\nHost: a\r\n\r\n',
    ]
    for (const request of requests) {
      const answer = await sendRaw(port, Buffer.from(request))
      expect(answer).to.match(/^($|HTTP\/1\.1 [45]\d\d )/)
      expect(answer).to.not.contain('root:')
    }
    const { ask } = target.api
    // Cut off rather than read to its end.
    const huge = await ask('POST', '', `{"name":"${'a'.repeat(5 << 20)}"}`).catch(() => undefined)
    expect(huge?.status ?? 413).to.equal(413)
    const bodies = [
      ...['['.repeat(100_000), '{"__proto__":{"replicas":3}}', '\u0000', '"', 'null', '[]'],
    ]
    for (const body of bodies) expect((await ask('POST', '', body)).status).to.be.within(400, 499)
    for (const key of ['x', 'Bearer', 'a'.repeat(8_000), "' or 1=1 --"]) {
      expect((await ask('GET', '', undefined, key)).status).to.be.within(400, 499)
    }
  })

  it('has grown nobody', async () => {
    for (const [member, bytes] of await memories()) {
      const growth = bytes - (memory.get(member) ?? 0)
      expect(growth, member.name).to.be.lessThan(growthBytesMax)
    }
  })
})

async function drained(stream: Stream): Promise<void> {
  await new Promise<void>((resolve) => {
    stream.addEventListener('drain', () => resolve(), { once: true })
    stream.addEventListener('close', () => resolve(), { once: true })
  })
}

/** What comes back within a second, as text. */
async function sendRaw(port: number, bytes: Uint8Array): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.on('data', (piece) => {
    answer += piece.toString('latin1')
  })
  socket.on('error', () => {})
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.write(bytes)
  await Promise.race([closed, sleep(1_000)])
  socket.destroy()
  return answer
}
