import { streamPair } from '@libp2p/utils'
import { expect } from 'chai'
import fc from 'fast-check'
import Type from 'typebox'
import { PotluckError } from '../errors.ts'
import { BytesSchema, createCodec, ListSchema, openChannel, PeerIdSchema } from './index.ts'

const codec = createCodec(
  'note',
  Type.Object({
    text: Type.String({ maxLength: 20 }),
    bytes: Type.Optional(BytesSchema(2, 4)),
    peers: Type.Optional(ListSchema(PeerIdSchema, 2)),
  }),
  { maxBytes: 100 },
)
const limits = { maxFrameBytes: 200, maxBufferedBytes: 400 }
const soon = () => AbortSignal.timeout(5_000)

async function pair(other: Partial<typeof limits> = {}) {
  const [left, right] = await streamPair()
  const init = { inbound: codec, outbound: codec, ...limits, ...other }
  return { left, right, a: openChannel(left, init), b: openChannel(right, init) }
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'ACCEPTED',
    (error: unknown) => {
      if (error instanceof PotluckError) return error.code
      throw error
    },
  )

describe('codec', () => {
  it('gives back what it was given, and equal bytes for equal values', () => {
    const note = { text: 'hi', bytes: new Uint8Array([1, 2]) }
    expect(codec.decode(codec.encode(note))).to.deep.equal(note)
    const turned = { bytes: new Uint8Array([1, 2]), text: 'hi' }
    expect(codec.encode(turned)).to.deep.equal(codec.encode(note))
  })

  it('turns any noise into a typed error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 150 }), (bytes) => {
        try {
          codec.decode(bytes)
        } catch (error) {
          expect(error).to.be.instanceOf(PotluckError)
        }
      }),
      { numRuns: 2_000 },
    )
  })

  it('refuses bytes after the message, longer ones, and values out of bounds', () => {
    const note = codec.encode({ text: 'hi' })
    expect(() => codec.decode(Buffer.concat([note, Buffer.from([0])]))).to.throw('not strict CBOR')
    expect(() => codec.decode(new Uint8Array(101))).to.throw('at most 100')
    const loose = createCodec('any', Type.Unknown(), { maxBytes: 1_000 })
    for (const [value, where] of [
      [{ text: 'x'.repeat(21) }, '/text'],
      [{ text: 'x', bytes: new Uint8Array(5) }, '/bytes'],
      [{ text: 'x', peers: ['not a peer'] }, '/peers/0'],
      [{}, '/'],
    ] as const) {
      expect(() => codec.decode(loose.encode(value))).to.throw(where)
    }
  })
})

describe('channel', () => {
  it('carries messages with bodies, in order, both ways', async () => {
    const { a, b } = await pair()
    const body = new Uint8Array(50).fill(7)
    const writes = [
      a.write({ text: 'one' }, { signal: soon(), body }),
      a.write({ text: 'two' }, { signal: soon() }),
    ]
    const first = await b.read({ signal: soon() })
    expect(first.message.text).to.equal('one')
    expect(Buffer.from(first.body.subarray()).equals(body)).to.equal(true)
    const second = await b.read({ signal: soon() })
    expect(second.message.text).to.equal('two')
    expect(second.body).to.have.length(0)
    await Promise.all(writes)
    await b.write({ text: 'back' }, { signal: soon() })
    expect((await a.read({ signal: soon() })).message.text).to.equal('back')
  })

  it('sends a frame in pieces, each in its turn, and what comes after it behind it', async () => {
    const { a, b } = await pair()
    const body = Uint8Array.from({ length: 100 }, (_, index) => index)
    const turns: (() => void)[] = []
    const pieces: number[] = []
    const turn = (bytes: number): Promise<void> => {
      pieces.push(bytes)
      return new Promise((resolve) => turns.push(resolve))
    }
    const pace = { pieceBytes: 40, turn }
    const paced = a.write({ text: 'slow' }, { signal: soon(), body, pace })
    const after = a.write({ text: 'after' }, { signal: soon() })
    const read = b.read({ signal: soon() })
    for (let piece = 0; piece < 3; piece++) {
      while (turns.length === 0) await new Promise((resolve) => setImmediate(resolve))
      turns.shift()?.()
    }
    const { message, body: got } = await read
    expect(message.text).to.equal('slow')
    expect(Buffer.from(got.subarray()).equals(body)).to.equal(true)
    expect((await b.read({ signal: soon() })).message.text).to.equal('after')
    await Promise.all([paced, after])
    expect(pieces.map((bytes) => bytes <= 40)).to.deep.equal([true, true, true])
  })

  it('ends the stream when a frame is given up half-way', async () => {
    const { a, b } = await pair()
    const stop = new AbortController()
    const pace = { pieceBytes: 40, turn: async () => stop.abort(new Error('enough')) }
    const read = codeOf(b.read({ signal: soon() }))
    const body = new Uint8Array(100)
    const given = a.write({ text: 'half' }, { signal: stop.signal, body, pace })
    expect(await given.catch((error: Error) => error.message)).to.equal('enough')
    expect(await read).to.equal('CHANNEL_CLOSED')
  })

  it('finds the frames however they are cut on their way', async () => {
    const texts = Array.from({ length: 30 }, (_, at) => 'x'.repeat(at % 21))
    const body = new Uint8Array(150).fill(1)
    const frames = texts.map((text) => {
      const frame = Buffer.concat([
        codec.encode({ text }),
        text.length > 9 ? body : Buffer.alloc(0),
      ])
      // A varint: lengths from 128 on have two bytes.
      const { length } = frame
      return Buffer.concat([Buffer.from(length < 128 ? [length] : [length | 0x80, 1]), frame])
    })
    const bytes = Buffer.concat(frames)
    for (const cut of [1, 2, 7, 64, 199, 300]) {
      const { left, b } = await pair({ maxBufferedBytes: 10_000 })
      const reading = Array.fromAsync(texts, async () => await b.read({ signal: soon() }))
      for (let at = 0; at < bytes.length; at += cut) {
        left.send(bytes.subarray(at, at + cut))
        if (at % 5 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      const got = await reading
      expect(got.map(({ message }) => message.text)).to.deep.equal(texts)
      expect(got.map(({ body: { length } }) => length > 0)).to.deep.equal(
        texts.map((text) => text.length > 9),
      )
    }
  })

  const frames: [string, Uint8Array, string][] = [
    ['a frame that is no CBOR', Buffer.from([2, 0xff, 0xff]), 'MALFORMED_MESSAGE'],
    ['a frame of the wrong shape', Buffer.from([1, 0xa0]), 'MALFORMED_MESSAGE'],
    ['an oversized frame', Buffer.from([0xff, 0xff, 0x03, 1]), 'MESSAGE_TOO_LARGE'],
    ['an endless length', Buffer.alloc(300, 0xff), 'MESSAGE_TOO_LARGE'],
  ]
  for (const [what, bytes, code] of frames) {
    it(`ends the stream, and only it, on ${what}`, async () => {
      const { left, right, b } = await pair()
      left.send(bytes)
      expect(await codeOf(b.read({ signal: soon() }))).to.equal(code)
      expect(right.status).to.equal('aborted')
    })
  }

  it('tells a truncated frame from a message', async () => {
    const { left, b } = await pair()
    left.send(Buffer.from([50, 1, 2, 3]))
    await left.close()
    expect(await codeOf(b.read({ signal: soon() }))).to.equal('CHANNEL_CLOSED')
  })

  it('is cut off when the other side sends more than may lie unread', async () => {
    const { left, right, b } = await pair()
    const closed = new Promise((resolve) => right.addEventListener('close', resolve))
    for (let sent = 0; sent < 20; sent++) {
      if (left.status !== 'open') break
      left.send(Buffer.concat([Buffer.from([100]), Buffer.alloc(100)]))
    }
    await closed
    expect(await codeOf(b.read({ signal: soon() }))).to.not.equal('ACCEPTED')
  })
})
