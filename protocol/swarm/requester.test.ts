import { expect } from 'chai'
import type { Mesh } from '../mesh/index.ts'
import { addressOf, createMeshStreet, type MeshStreet } from '../mesh/mesh.fixture.ts'
import { answering, soon } from './hostile.fixture.ts'
import {
  createSwarmStreet,
  type Home,
  randomBundle,
  type SwarmStreet,
  type TestBundle,
  toyTicket,
  until,
} from './swarm.fixture.ts'
import { type Ask, chunksProtocol, descriptorPieceBytes } from './wire.ts'

type Wire = ReturnType<typeof answering>

describe('swarm, with a holder that', function () {
  this.timeout(30_000)
  let street: SwarmStreet
  let strangers: MeshStreet
  let home: Home
  let mesh: Mesh
  let bundle: TestBundle

  beforeEach(async () => {
    street = createSwarmStreet()
    strangers = createMeshStreet()
    home = await street.home()
    mesh = await strangers.host()
    bundle = randomBundle(1 << 19)
  })
  afterEach(async () => {
    await strangers.stop()
    await street.stop()
  })

  const everything = () => new Uint8Array(bundle.chunks.length / 8).fill(0xff)

  /** Behaves until a request comes; then `onRequest` does what it likes. */
  const holder = async (
    onRequest: (wire: Wire, ask: Ask & { t: 'request' }) => Promise<void>,
    { held = everything(), pieceBytes = descriptorPieceBytes } = {},
  ) => {
    await mesh.handle(chunksProtocol, async (stream) => {
      const wire = answering(stream)
      try {
        for (;;) {
          const { message: ask } = await wire.read(soon())
          if (ask.t === 'join') {
            const descriptorBytes = bundle.descriptorBytes.length
            await wire.write({ t: 'joined', bundle: ask.bundle, descriptorBytes, held }, soon())
          }
          if (ask.t === 'descriptor') {
            const { offset } = ask
            if (pieceBytes === 0) continue
            const body = bundle.descriptorBytes.subarray(offset, offset + pieceBytes)
            await wire.write({ t: 'descriptor', bundle: ask.bundle, offset }, { ...soon(), body })
          }
          if (ask.t === 'request') await onRequest(wire, ask)
        }
      } catch {
        // The other side had enough.
      }
    })
    return home.swarm.download({
      bundle: bundle.id,
      ticket: () => toyTicket(home.address.peer, bundle.id),
      hints: [addressOf(mesh)],
      ...soon(),
    })
  }

  const expectBlamed = async (kind: string) => {
    await until(() => home.misbehaviours.length > 0)
    expect(home.misbehaviours[0]).to.include({ peer: addressOf(mesh).peer, kind })
  }
  /** The download is none the worse: an honest holder ends it. */
  const expectRecovery = async (download: Awaited<ReturnType<typeof holder>>) => {
    const honest = await street.home()
    await honest.fill(bundle)
    download.addHints([honest.address])
    expect((await download.done).complete).to.equal(true)
  }
  const chunk = (id: number, number: number) => ({ t: 'chunk', id, number }) as const

  it('drips the descriptor byte by byte', async () => {
    const download = await holder(async () => undefined, { pieceBytes: 1 })
    await expectBlamed('malformed')
    await expectRecovery(download)
  })

  it('never sends the descriptor: another is asked, and nobody is blamed', async () => {
    const download = await holder(async () => undefined, { pieceBytes: 0 })
    await expectRecovery(download)
    expect(home.misbehaviours).to.deep.equal([])
  })

  it('sends a chunk nobody asked for', async () => {
    const download = await holder(async (wire, ask) => {
      const body = bundle.chunks[0]!
      await wire.write(chunk(ask.id + 1000, 0), { ...soon(), body })
    })
    await expectBlamed('malformed')
    await expectRecovery(download)
  })

  it('sends a chunk twice', async () => {
    const download = await holder(async (wire, ask) => {
      const body = bundle.chunks[ask.first]!
      await wire.write(chunk(ask.id, ask.first), { ...soon(), body })
      await wire.write(chunk(ask.id, ask.first), { ...soon(), body })
    })
    await expectBlamed('malformed')
    await expectRecovery(download)
  })

  it('sends one right chunk in the place of another', async () => {
    const download = await holder(async (wire, ask) => {
      const other = bundle.chunks[(ask.first + 1) % bundle.chunks.length]!
      await wire.write(chunk(ask.id, ask.first), { ...soon(), body: other })
    })
    await expectBlamed('wrong-chunk')
    await expectRecovery(download)
  })

  it('sends empty and short chunks', async () => {
    const download = await holder(async (wire, ask) => {
      await wire.write(chunk(ask.id, ask.first), soon())
    })
    await expectBlamed('wrong-chunk')
    await expectRecovery(download)
  })

  it('claims chunks that do not exist', async () => {
    const download = await holder(async (wire) => {
      await wire.write({ t: 'have', number: 1, runs: [bundle.chunks.length, 1] }, soon())
    })
    await expectBlamed('malformed')
    await expectRecovery(download)
  })

  it('has a have-map of another size', async () => {
    const download = await holder(async () => undefined, { held: new Uint8Array(77) })
    await expectBlamed('malformed')
    await expectRecovery(download)
  })

  it('has nothing of what it claims: a few may have rotted, but not more', async () => {
    const asked: number[] = []
    const download = await holder(async (wire, ask) => {
      asked.push(ask.first)
      const { id, first: number } = ask
      await wire.write({ t: 'refused', bundle: bundle.id, code: 'NOT_HELD', id, number }, soon())
    })
    await expectBlamed('false-have')
    expect(asked.length).to.be.within(5, bundle.chunks.length)
    expect(new Set(asked).size).to.equal(asked.length)
    expect(home.misbehaviours).to.have.length(1)
    await expectRecovery(download)
  })

  it('lacks a chunk or two of what it claims: nobody is blamed', async () => {
    const download = await holder(async (wire, { id, first: number }) => {
      if (number > 3) {
        await wire.write(chunk(id, number), { ...soon(), body: bundle.chunks[number]! })
        return
      }
      await wire.write({ t: 'refused', bundle: bundle.id, code: 'NOT_HELD', id, number }, soon())
    })
    await until(() => download.progress().bytesDone > bundle.travelBytes / 3)
    await expectRecovery(download)
    expect(home.misbehaviours).to.deep.equal([])
  })

  it('speaks another language', async () => {
    const download = await holder(async (wire) => {
      wire.stream.send(new Uint8Array(3000).fill(0x41))
    })
    await expectBlamed('malformed')
    await expectRecovery(download)
  })

  it('sends far more than was asked for', async () => {
    const download = await holder(async (wire) => {
      for (let id = 5_000; id < 5_100; id++) {
        await wire.write(chunk(id, 0), { ...soon(), body: bundle.chunks[0]! })
      }
    })
    await expectBlamed('malformed')
    expect(home.swarm.stats().downloadedBytes).to.be.below(1 << 20)
    await expectRecovery(download)
  })
})
