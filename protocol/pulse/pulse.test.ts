import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import fc from 'fast-check'
import { FakeClock, systemClock } from '../clock.ts'
import { PotluckError } from '../errors.ts'
import type { Term } from '../ids.ts'
import { silentLogger } from '../log/index.ts'
import { dialPeer } from '../mesh/index.ts'
import { addressOf, createMeshStreet } from '../mesh/mesh.fixture.ts'
import { pulseCodec } from '../orders/index.ts'
import { nowMs, orderFixture } from '../orders/orders.fixture.ts'
import { createSigner } from '../signing/index.ts'
import { askPulse, createPulseKeeper, servePulse } from './index.ts'

const soon = () => ({ signal: AbortSignal.timeout(10_000) })
const codeOf = (work: () => unknown): string => {
  try {
    return String(work())
  } catch (error) {
    if (error instanceof PotluckError) return error.code
    throw error
  }
}

describe('pulses', () => {
  it('are kept if newer, and never gone back on', async () => {
    const f = await orderFixture()
    const pulses = createPulseKeeper({ ...f, logger: silentLogger })
    fc.assert(
      fc.property(fc.array(fc.nat(50), { minLength: 1 }), (numbers) => {
        for (const number of numbers) {
          const before = pulses.newest?.pulse.number ?? -1
          expect(pulses.take(f.signPulse({ number }))).to.equal(number > before)
          expect(pulses.newest?.pulse.number).to.equal(Math.max(before, number))
        }
      }),
    )
  })

  it('of the coordinator’s own stream are verified when somebody asks, and only then', async () => {
    const f = await orderFixture()
    let opened = 0
    const open: typeof f.keeper.open = (...args) => {
      opened += 1
      return f.keeper.open(...args)
    }
    const pulses = createPulseKeeper({ keeper: { ...f.keeper, open }, logger: silentLogger })
    for (const number of [1, 2, 3]) pulses.hear(f.signPulse({ number }))
    expect(opened).to.equal(0)
    expect(pulses.newest?.pulse.number).to.equal(3)
    const forged = { ...f.signPulse({ number: 4 }), payload: f.signPulse({ number: 5 }).payload }
    pulses.hear(forged)
    expect(pulses.newest?.pulse.number, 'what is no pulse takes none away').to.equal(3)
    expect(opened).to.equal(2)
  })

  it('are the coordinator’s own, of this network and term, and no other kind of order', async () => {
    const f = await orderFixture()
    const pulses = createPulseKeeper({ ...f, logger: silentLogger })
    const genuine = f.signPulse({ number: 7 })
    const forged = { ...genuine, payload: f.signPulse({ number: 8 }).payload }
    expect(codeOf(() => pulses.take(forged))).to.equal('BAD_SIGNATURE')
    const asBans = f.orders.sign('ban-list', genuine.payload)
    expect(codeOf(() => pulses.take(asBans))).to.equal('BAD_SIGNATURE')
    const stranger = createSigner(new Uint8Array(randomBytes(32)))
    expect(codeOf(() => pulses.take(stranger.sign('pulse', genuine.payload)))).to.equal(
      'BAD_SIGNATURE',
    )
    expect(codeOf(() => pulses.take(f.signPulse({ network: '0'.repeat(32) as never })))).to.equal(
      'WRONG_NETWORK',
    )
    expect(pulses.newest).to.equal(undefined)
  })

  it('of a deposed coordinator are refused, and those of its successor outrank them', async () => {
    const f = await orderFixture()
    const pulses = createPulseKeeper({ ...f, logger: silentLogger })
    pulses.take(f.signPulse({ number: 900 }))
    const successor = createSigner(new Uint8Array(32).fill(5))
    f.keeper.offer(f.signCertificate({ term: 2 as Term, orderKey: successor.publicKey }))
    expect(codeOf(() => pulses.take(f.signPulse({ number: 901 })))).to.equal('BAD_SIGNATURE')
    const held = pulses.newest?.pulse
    if (!held) throw new Error('no pulse is held')
    const next = { ...held, term: 2 as Term, number: 1, timeMs: nowMs }
    expect(pulses.take(successor.sign('pulse', pulseCodec.encode(next)))).to.equal(true)
  })

  describe('between hosts', () => {
    const street = createMeshStreet()
    afterEach(() => street.stop())

    it('are told from memory to whoever asks, and no more than so often', async () => {
      const f = await orderFixture()
      const pulses = createPulseKeeper({ ...f, logger: silentLogger })
      const [asker, teller] = [await street.host(), await street.host()]
      const clock = new FakeClock(0)
      const stop = await servePulse({ mesh: teller, pulses, clock })
      const connection = await dialPeer(asker, addressOf(teller), soon())
      expect(await askPulse(connection, soon())).to.deep.equal({})
      pulses.take(f.signPulse({ number: 3 }))
      const { pulse } = await askPulse(connection, soon())
      expect(pulse).to.deep.equal(f.signPulse({ number: 3 }))
      let answered = 2
      for (let more = 0; more < 20; more++) {
        await askPulse(connection, soon()).then(
          () => answered++,
          () => undefined,
        )
      }
      expect(answered).to.equal(10)
      await clock.advance(4_000)
      expect(await askPulse(connection, soon())).to.have.property('pulse')
      await stop()
    })

    it('are asked of a host that floods or says nonsense without harm', async () => {
      const f = await orderFixture()
      const pulses = createPulseKeeper({ ...f, logger: silentLogger })
      const [liar, teller] = [await street.host(), await street.host()]
      const stop = await servePulse({ mesh: teller, pulses, clock: systemClock })
      const connection = await dialPeer(liar, addressOf(teller), soon())
      const stream = await connection.newStream('/potluck/pulse/1', soon())
      stream.send(new Uint8Array(randomBytes(5_000)))
      await new Promise((resolve) => stream.addEventListener('close', resolve, { once: true }))
      expect(await askPulse(connection, soon())).to.deep.equal({})
      await stop()
    })
  })
})
