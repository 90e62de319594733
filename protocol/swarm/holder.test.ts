import { open } from 'node:fs/promises'
import { join as joinPath } from 'node:path'
import { encode } from 'cborg'
import { expect } from 'chai'
import fc from 'fast-check'
import type { BundleId } from '../ids.ts'
import type { Mesh } from '../mesh/index.ts'
import { addressOf, createMeshStreet, type MeshStreet } from '../mesh/mesh.fixture.ts'
import { costlyAnswersBurst, costlyAnswersPerS } from './holder.ts'
import { asking, ended, openRaw, soon, writeFrame } from './hostile.fixture.ts'
import { createPeerBook } from './peer-book.ts'
import {
  createSwarmStreet,
  type Home,
  randomBundle,
  type SwarmStreet,
  type TestBundle,
  toyTicket,
  until,
} from './swarm.fixture.ts'
import type { Ask } from './wire.ts'

const MiB = 1 << 20

describe('swarm/holder', function () {
  this.timeout(30_000)
  let street: SwarmStreet
  let strangers: MeshStreet
  let seed: Home
  let bundle: TestBundle
  let mesh: Mesh

  beforeEach(async () => {
    street = createSwarmStreet()
    strangers = createMeshStreet()
    bundle = randomBundle(4 * MiB)
    // One host plays many strangers: what one did must not be held against the next.
    seed = await street.home({ with: { book: { ...createPeerBook(), isDropped: () => false } } })
    await seed.fill(bundle)
    mesh = await strangers.host()
  })
  afterEach(async () => {
    await strangers.stop()
    await street.stop()
  })

  const me = () => addressOf(mesh).peer
  const goodTicket = () => toyTicket(me(), bundle.id)
  const join = async () => {
    const channel = asking(await openRaw(mesh, seed.address))
    await channel.write({ t: 'join', number: 1, bundle: bundle.id, ticket: goodTicket() }, soon())
    expect((await channel.read(soon())).message).to.include({ t: 'joined', bundle: bundle.id })
    return channel
  }

  it('sends the chunks of a run together, and names the one that it has not', async () => {
    const channel = await join()
    const got: number[] = []
    const ask = async (id: number, first: number, count: number) =>
      await channel.write({ t: 'request', bundle: bundle.id, id, first, count }, soon())
    await ask(1, 3, 6)
    while (got.length < 6) {
      const { message, body } = await channel.read(soon())
      if (message.t !== 'chunk') throw new Error(`${message.t} instead of chunks`)
      const chunks = bundle.chunks.slice(message.number, message.number + (message.count ?? 1))
      expect(Buffer.concat(chunks).equals(body.subarray())).to.equal(true)
      got.push(...chunks.keys().map((at) => message.number + at))
    }
    expect(got).to.deep.equal([3, 4, 5, 6, 7, 8])

    const { blobs } = (await seed.store.add(bundle.descriptorBytes)).descriptor
    const path = joinPath(seed.folder, 'blobs', `${blobs[0]?.id}.chunks`)
    const file = await open(path, 'r+')
    await file.write(Buffer.alloc(8), 0, 8, 12 * (64 * 1024 + 16))
    await file.close()
    await ask(2, 10, 4)
    for (;;) {
      const { message } = await channel.read(soon())
      if (message.t === 'chunk') expect(message.number + (message.count ?? 1)).to.be.below(13)
      if (message.t !== 'refused') continue
      expect(message).to.include({ code: 'NOT_HELD', id: 2, number: 12 })
      break
    }
  })

  it('serves nobody without a ticket of their own, for this bundle, for now', async () => {
    const other = randomBundle(1000)
    const forged = { ...goodTicket(), signature: new Uint8Array(64) }
    const noise = { payload: new Uint8Array([255]), signature: new Uint8Array(64).fill(7) }
    const cases = [
      { ticket: forged, code: 'NO_TICKET' },
      { ticket: noise, code: 'NO_TICKET' },
      { ticket: toyTicket(seed.address.peer, bundle.id), code: 'WRONG_PEER' },
      { ticket: toyTicket(me(), other.id), code: 'WRONG_BUNDLE' },
      { ticket: toyTicket(me(), bundle.id, 5), code: 'EXPIRED' },
    ]
    street.setTime(10)
    const channel = asking(await openRaw(mesh, seed.address))
    for (const { ticket, code } of cases) {
      await channel.write({ t: 'join', number: 1, bundle: bundle.id, ticket }, soon())
      expect((await channel.read(soon())).message).to.deep.equal({
        t: 'refused',
        bundle: bundle.id,
        code,
      })
      await channel.write({ t: 'request', bundle: bundle.id, id: 1, first: 0, count: 1 }, soon())
      const { message, body } = await channel.read(soon())
      expect(message).to.include({ t: 'refused', code: 'NO_TICKET', id: 1 })
      expect(body).to.have.length(0)
      await channel.write({ t: 'descriptor', bundle: bundle.id, offset: 0 }, soon())
      expect((await channel.read(soon())).message).to.include({ code: 'NO_TICKET' })
    }
    expect(seed.swarm.stats().uploadedBytes).to.equal(0)
  })

  it('says the same of a bundle it lacks and one nobody has, and only to ticket holders', async () => {
    const channel = asking(await openRaw(mesh, seed.address))
    const missing = 'c'.repeat(64) as BundleId
    const ask = { t: 'join', number: 1, bundle: missing } as const
    await channel.write({ ...ask, ticket: goodTicket() }, soon())
    expect((await channel.read(soon())).message).to.include({ code: 'WRONG_BUNDLE' })
    await channel.write({ ...ask, ticket: toyTicket(me(), missing) }, soon())
    expect((await channel.read(soon())).message).to.include({ code: 'UNKNOWN_BUNDLE' })
  })

  it('enforces the expiry of a ticket that was good when it was shown', async () => {
    const channel = asking(await openRaw(mesh, seed.address))
    const ticket = toyTicket(me(), bundle.id, 1000)
    await channel.write({ t: 'join', number: 1, bundle: bundle.id, ticket }, soon())
    await channel.read(soon())
    const request = { t: 'request', bundle: bundle.id, first: 3, count: 1 } as const
    await channel.write({ ...request, id: 1 }, soon())
    const { message, body } = await channel.read(soon())
    expect(message).to.deep.equal({ t: 'chunk', id: 1, number: 3 })
    expect(Buffer.compare(body.subarray(), bundle.chunks[3]!)).to.equal(0)
    street.setTime(1000)
    await channel.write({ ...request, id: 2 }, soon())
    expect((await channel.read(soon())).message).to.include({ code: 'EXPIRED', id: 2 })
  })

  it('refuses chunks that are not there', async () => {
    const channel = await join()
    const count = bundle.chunks.length
    await channel.write(
      { t: 'request', bundle: bundle.id, id: 9, first: count - 1, count: 2 },
      soon(),
    )
    expect((await channel.read(soon())).message).to.deep.equal({
      t: 'refused',
      bundle: bundle.id,
      code: 'NOT_HELD',
      id: 9,
      number: count,
    })
  })

  it('honours a cancel: what is left of a request is not sent', async () => {
    seed.swarm.setLimits({ uploadBytesPerS: 200_000 })
    const channel = await join()
    await channel.write({ t: 'request', bundle: bundle.id, id: 1, first: 0, count: 60 }, soon())
    await channel.read(soon())
    await channel.write({ t: 'cancel', id: 1 }, soon())
    await channel.write({ t: 'request', bundle: bundle.id, id: 2, first: 60, count: 1 }, soon())
    const ids: number[] = []
    while (ids.at(-1) !== 2) {
      const { message } = await channel.read(soon())
      if (message.t === 'chunk') ids.push(message.id)
    }
    expect(ids.length).to.be.below(5)
  })

  it('tells of new chunks in batches', async () => {
    const part = randomBundle(2 * MiB)
    await seed.fill(part, (chunk) => chunk < 4)
    const channel = asking(await openRaw(mesh, seed.address))
    await channel.write(
      { t: 'join', number: 1, bundle: part.id, ticket: toyTicket(me(), part.id) },
      soon(),
    )
    const { message } = await channel.read(soon())
    expect(message.t === 'joined' && message.held[0]).to.equal(0xf0)
    await seed.fill(part, (chunk) => chunk >= 10 && chunk < 20)
    let told = 0
    let messages = 0
    while (told < 10) {
      const { message: have } = await channel.read(soon())
      if (have.t !== 'have') continue
      messages += 1
      for (let at = 1; at < have.runs.length; at += 2) told += have.runs[at]!
    }
    expect(told).to.equal(10)
    expect(messages).to.be.below(6)
  })

  it('ends a malformed stream with a typed error, and that stream only', async () => {
    const good = await join()
    const unclosed = new Set<string>()
    const wrong = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 64 }).map((bytes) => ({ frame: bytes })),
      fc.jsonValue().map((value) => ({ frame: encode(value) })),
      fc
        .record({ t: fc.constantFrom('join', 'request', 'cancel'), id: fc.string() })
        .map((value) => ({ frame: encode(value) })),
      // A prefix that promises more than a frame may have, and one that never ends.
      fc
        .constantFrom([0xff, 0xff, 0x7f], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
        .map((bytes) => ({ raw: Uint8Array.from(bytes) })),
    )
    await fc.assert(
      fc.asyncProperty(wrong, async (input) => {
        const before = seed.misbehaviours.length
        const stream = await openRaw(mesh, seed.address)
        if ('raw' in input) stream.send(input.raw)
        else await writeFrame(stream, input.frame)
        await ended(stream)
        await until(() => seed.misbehaviours.length > before)
        const what = seed.misbehaviours.at(-1)
        if (what?.kind !== 'malformed' || what.peer !== me()) unclosed.add(JSON.stringify(what))
      }),
      { numRuns: 40 },
    )
    expect([...unclosed]).to.deep.equal([])
    // A frame that is cut off is no crime, but ends too.
    const cut = await openRaw(mesh, seed.address)
    cut.send(Uint8Array.from([40, 1, 2, 3]))
    await cut.close(soon())
    await good.write({ t: 'request', bundle: bundle.id, id: 1, first: 0, count: 1 }, soon())
    expect((await good.read(soon())).message).to.deep.equal({ t: 'chunk', id: 1, number: 0 })
  })

  it('cuts off who asks for more than may wait, and serves the others', async () => {
    const flooder = await join()
    seed.swarm.setLimits({ uploadBytesPerS: 1 })
    const closed = ended(flooder.stream)
    for (let id = 1; id <= 10_000 && flooder.stream.status === 'open'; id++) {
      const ask = { t: 'request', bundle: bundle.id, id, first: 0, count: 1 } as const
      await flooder.write(ask, soon()).catch(() => undefined)
    }
    await closed
    await until(() => seed.misbehaviours.length > 0)
    expect(seed.misbehaviours.map(({ kind }) => kind)).to.deep.equal(['flood'])
    seed.swarm.setLimits({})
    const good = await join()
    await good.write({ t: 'request', bundle: bundle.id, id: 1, first: 0, count: 1 }, soon())
    expect((await good.read(soon())).message).to.include({ t: 'chunk', id: 1 })
  })

  it('cuts off who says that more chunks have come than were sent', async () => {
    const channel = await join()
    const closed = ended(channel.stream)
    const ask = { t: 'request', bundle: bundle.id, first: 0, count: 1, gotMs: 0 } as const
    await channel.write({ ...ask, id: 1 }, soon())
    expect((await channel.read(soon())).message).to.include({ t: 'chunk', id: 1 })
    await channel.write({ ...ask, id: 2, got: 1 }, soon())
    expect((await channel.read(soon())).message).to.include({ t: 'chunk', id: 2 })
    await channel.write({ ...ask, id: 3, got: 3 }, soon())
    await closed
    await until(() => seed.misbehaviours.length > 0)
    expect(seed.misbehaviours.map(({ kind }) => kind)).to.deep.equal(['malformed'])
  })

  it('cuts off who asks on without a ticket', async () => {
    const channel = asking(await openRaw(mesh, seed.address))
    const closed = ended(channel.stream)
    let refused = 0
    const reading = (async () => {
      for (;;) if ((await channel.read(soon())).message.t === 'refused') refused += 1
    })().catch(() => undefined)
    for (let id = 1; id <= 1_000 && channel.stream.status === 'open'; id++) {
      const ask = { t: 'request', bundle: bundle.id, id, first: 0, count: 1 } as const
      await channel.write(ask, soon()).catch(() => undefined)
    }
    await closed
    await reading
    expect(refused).to.be.at.most(64)
  })

  const floods: readonly (readonly [string, (id: number) => Ask])[] = [
    ['joins', () => ({ t: 'join', number: 1, bundle: bundle.id, ticket: goodTicket() })],
    [
      'asks for what is not there',
      (id) => ({ t: 'request', bundle: bundle.id, id, first: 100_000, count: 1 }),
    ],
  ]
  for (const [what, askOf] of floods) {
    it(`answers at its own pace who ${what} without end, and serves the others`, async () => {
      const flooder = await join()
      let answers = 0
      const reading = (async () => {
        for (;;) {
          await flooder.read(soon())
          answers += 1
        }
      })().catch(() => undefined)
      const startMs = performance.now()
      const asks = 2 * costlyAnswersBurst
      for (let id = 1; id <= asks && flooder.stream.status === 'open'; id++) {
        await flooder.write(askOf(id), soon()).catch(() => undefined)
        // A little slower than what would end the stream for unread answers.
        if (id % 16 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
      }
      await until(() => answers >= costlyAnswersBurst - 1)
      const good = await join()
      await good.write({ t: 'request', bundle: bundle.id, id: 1, first: 0, count: 1 }, soon())
      expect((await good.read(soon())).message).to.include({ t: 'chunk', id: 1 })
      const seconds = (performance.now() - startMs) / 1000
      expect(answers).to.be.at.most(costlyAnswersBurst + seconds * costlyAnswersPerS + 1)
      flooder.stream.abort(new Error('enough'))
      await reading
    })
  }

  it('keeps little for a peer that does not read, and lets others have its slots', async () => {
    const big = randomBundle(24 * MiB)
    await seed.fill(big)
    const stream = await openRaw(mesh, seed.address)
    const deaf = asking(stream)
    await deaf.write(
      { t: 'join', number: 1, bundle: big.id, ticket: toyTicket(me(), big.id) },
      soon(),
    )
    await deaf.read(soon())
    stream.pause()
    const served = seed.swarm.stats().uploadedBytes
    for (let id = 0; id < 8; id++) {
      const ask = { t: 'request', bundle: big.id, id, first: id * 48, count: 48 } as const
      await deaf.write(ask, soon())
    }
    const home = await street.home()
    const download = home.swarm.download({
      bundle: bundle.id,
      ticket: () => toyTicket(home.address.peer, bundle.id),
      hints: [seed.address],
      ...soon(),
    })
    await download.done
    // What went to the deaf one is its stream's window and two chunks, not what it asked for.
    const sentBytes = seed.swarm.stats().uploadedBytes - served - bundle.travelBytes
    expect(sentBytes).to.be.below(4 * MiB)
    stream.abort(new Error('done'))
  })
})
