import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { FakeClock } from '../clock.ts'
import { errorCode } from '../errors.ts'
import { silentLogger } from '../log/index.ts'
import { dialPeer, type Mesh, peerIdOf } from '../mesh/index.ts'
import { addressOf, createMeshStreet, type MeshStreet } from '../mesh/mesh.fixture.ts'
import { createSigner } from '../signing/index.ts'
import { askDialBack, openVerdict } from './ask-dial-back.ts'
import { serveDialBack } from './dial-back.ts'
import { verdictCodec } from './dial-back-wire.ts'
import { endpointOf } from './endpoint.ts'

const options = () => ({ signal: AbortSignal.timeout(8_000) })
const portOf = (mesh: Mesh): number =>
  addressOf(mesh).addresses.map((address) => endpointOf(address)?.port ?? 0)[0] ?? 0

describe('protocol/nat dial-back', function () {
  this.timeout(20_000)
  let street: MeshStreet
  let stops: (() => Promise<void>)[]
  const clock = new FakeClock(1)
  beforeEach(() => {
    street = createMeshStreet()
    stops = []
  })
  afterEach(async () => {
    await Promise.all(stops.map((stop) => stop()))
    await street.stop()
  })
  const judge = async ({ allowPrivate = true } = {}): Promise<Mesh> => {
    const seed = new Uint8Array(randomBytes(32))
    const mesh = await street.host({ seed, role: 'coordinator' })
    const parts = { mesh, signer: createSigner(seed), clock, wallMs: () => 7, logger: silentLogger }
    stops.push(await serveDialBack({ allowPrivate }, parts))
    return mesh
  }
  const ask = async (home: Mesh, at: Mesh, ports: readonly number[]) => {
    const connection = await dialPeer(home, addressOf(at), options())
    return await askDialBack(connection, { self: peerIdOf(home.peerId), ports }, options())
  }

  it('finds the ports at which the asker answers, and signs that', async () => {
    const [home, at] = [await street.host(), await judge()]
    const other = await street.host()
    const { verdict, signed } = await ask(home, at, [portOf(home), portOf(other), 1])
    // Somebody else at the same address is not the asker.
    expect(verdict).to.deep.include({ ip: '127.0.0.1', open: [portOf(home)], atMs: 7 })
    expect(openVerdict(signed)).to.deep.equal(verdict)
    expect(home.getConnections()).to.have.length(1)
  })

  it('gives no verdict that another could have made', async () => {
    const [home, at] = [await street.host(), await judge()]
    const { verdict, signed } = await ask(home, at, [1])
    const forged = { ...signed, payload: verdictCodec.encode({ ...verdict, open: [1] }) }
    const own = createSigner(randomBytes(32)).sign('reach', signed.payload)
    for (const bad of [forged, own]) {
      expect(() => openVerdict(bad))
        .to.throw()
        .with.property('code', 'BAD_SIGNATURE')
    }
  })

  it('dials no private address unless the network allows it', async () => {
    const [home, at] = [await street.host(), await judge({ allowPrivate: false })]
    const error = await ask(home, at, [portOf(home)]).catch((e) => e)
    expect(errorCode(error)).to.equal('NO_DIAL_BACK')
    expect(error.message).to.contain('ADDRESS')
    expect(at.getConnections()).to.have.length(1)
  })

  it('is not made to dial again and again', async () => {
    const [home, at] = [await street.host(), await judge()]
    const answers = []
    for (let asked = 0; asked < 10; asked++) {
      answers.push(await ask(home, at, [1]).then(() => 'dialled', errorCode))
    }
    expect(answers.slice(0, 8)).to.deep.equal(Array(8).fill('dialled'))
    expect(answers.slice(8)).to.deep.equal(['NO_DIAL_BACK', 'NO_DIAL_BACK'])
    await clock.advance(60_000)
    expect((await ask(home, at, [1])).verdict.open).to.deep.equal([])
  })
})
