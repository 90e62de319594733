/**
 * Chunks go to ticket holders alone, over real sockets, from a cache and from a home that run: a
 * stranger without a ticket, or with any ticket but its own, gets nothing, and finds no holder.
 */
import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { loadSeed } from '../../protocol/identity/index.ts'
import type { BundleId, NetworkId, Term } from '../../protocol/ids.ts'
import type { PeerAddress } from '../../protocol/mesh/index.ts'
import type { Network } from '../../protocol/network/index.ts'
import { type Ticket, ticketCodec } from '../../protocol/orders/index.ts'
import { createSigner, type Signer } from '../../protocol/signing/index.ts'
import { asking, openRaw } from '../../protocol/swarm/hostile.fixture.ts'
import { holderKey } from '../../protocol/swarm/index.ts'
import type { Answer, Ask } from '../../protocol/swarm/wire.ts'
import type { Signed } from '../../protocol/wire/index.ts'
import { until } from './api.ts'
import {
  addressOf,
  cachedBundle,
  createStranger,
  networkOf,
  type Stranger,
  soon,
} from './stranger.ts'
import { startTarget, type Target } from './target.ts'

const hourMs = 3_600_000

describe('tickets, shown by strangers', function () {
  this.timeout(120_000)
  let target: Target
  let network: Network
  let bundle: BundleId
  let holders: readonly PeerAddress[]
  let orders: Signer
  let stranger: Stranger

  before(async () => {
    target = await startTarget({ engine: 'simulated', nodes: 2 })
    network = await networkOf(target)
    const container = { image: 'registry.example/app:1', resources: { cpu: 1, memory: 1_024 } }
    await target.api.create({ name: 'served', replicas: 2, container })
    await target.api.running('served', 2)
    bundle = await cachedBundle(target)
    holders = await Promise.all([target.cache, ...target.nodes].map(addressOf))
    orders = createSigner(await loadSeed(`${target.run.path}/coordinator/order.key`))
    stranger = await createStranger()
  })
  after(async () => {
    await stranger?.mesh.stop()
    await target?.stop()
  })

  const payload = (changes: Partial<Ticket> = {}): Uint8Array =>
    ticketCodec.encode({
      ...{ v: 1, network: network.network, term: 1 as Term, peer: stranger.peer, bundle },
      ...{ issuedMs: Date.now(), expiresMs: Date.now() + hourMs, ...changes },
    })
  /** What a holder says to one ask, on a stream of its own. */
  const ask = async (holder: PeerAddress, asks: readonly Ask[]): Promise<Answer> => {
    const channel = asking(await openRaw(stranger.mesh, holder))
    try {
      for (const one of asks) await channel.write(one, soon())
      return (await channel.read(soon())).message
    } finally {
      channel.abort(new Error('done'))
    }
  }
  const join = (ticket: Signed): Ask => ({ t: 'join', number: 1, bundle, ticket })
  const request: Ask = { t: 'request', bundle: '' as BundleId, id: 1, first: 0, count: 1 }

  it('opens what is asked for with the right one: the tests below can fail', async () => {
    for (const holder of holders) {
      const answer = await ask(holder, [join(orders.sign('ticket', payload()))])
      expect(answer).to.include({ t: 'joined' })
    }
  })

  it('serves nothing without one', async () => {
    for (const holder of holders) {
      for (const one of [
        { ...request, bundle },
        { t: 'descriptor', bundle, offset: 0 },
      ] as const) {
        expect(await ask(holder, [one])).to.include({ t: 'refused', code: 'NO_TICKET' })
      }
    }
  })

  const own = createSigner(new Uint8Array(randomBytes(32)))
  const flip = (bytes: Uint8Array, at: number): Uint8Array => {
    const changed = bytes.slice()
    changed[at] = (changed[at] ?? 0) ^ 1
    return changed
  }
  const other = 'ab'.repeat(32) as BundleId
  const cases: Record<string, readonly [() => Signed, string]> = {
    'expired an hour ago': [
      () => orders.sign('ticket', payload({ expiresMs: Date.now() - hourMs })),
      'EXPIRED',
    ],
    "another peer's": [
      () => orders.sign('ticket', payload({ peer: target.nodes[0]!.peer as Ticket['peer'] })),
      'WRONG_PEER',
    ],
    "another bundle's": [() => orders.sign('ticket', payload({ bundle: other })), 'WRONG_BUNDLE'],
    'signed by itself': [() => own.sign('ticket', payload()), 'NO_TICKET'],
    'signed by its identity': [() => stranger.signer.sign('ticket', payload()), 'NO_TICKET'],
    "another network's": [
      () => orders.sign('ticket', payload({ network: 'cd'.repeat(16) as NetworkId })),
      'NO_TICKET',
    ],
    'of a later term': [() => orders.sign('ticket', payload({ term: 9 as Term })), 'NO_TICKET'],
    'signed as another kind of order': [() => orders.sign('roster', payload()), 'NO_TICKET'],
    'with a changed bit': [
      () => {
        const { payload: bytes, signature } = orders.sign('ticket', payload())
        return { payload: flip(bytes, bytes.length - 3), signature }
      },
      'NO_TICKET',
    ],
    'with a changed signature': [
      () => {
        const { payload: bytes, signature } = orders.sign('ticket', payload())
        return { payload: bytes, signature: flip(signature, 5) }
      },
      'NO_TICKET',
    ],
    'of random bytes': [
      () => ({
        payload: new Uint8Array(randomBytes(150)),
        signature: new Uint8Array(randomBytes(64)),
      }),
      'NO_TICKET',
    ],
  }
  for (const [name, [make, code]] of Object.entries(cases)) {
    it(`refuses one ${name}, and what is asked for after it`, async () => {
      for (const holder of holders) {
        const refused = { t: 'refused', code }
        expect(await ask(holder, [join(make())])).to.include(refused)
        const channel = asking(await openRaw(stranger.mesh, holder))
        await channel.write(join(make()), soon())
        await channel.write({ ...request, bundle }, soon())
        expect((await channel.read(soon())).message).to.include(refused)
        const next = (await channel.read(soon())).message
        expect(next).to.include({ t: 'refused', code: 'NO_TICKET' })
        channel.abort(new Error('done'))
      }
    })
  }

  it('ends the stream of who keeps trying, and serves others on', async () => {
    const channel = asking(await openRaw(stranger.mesh, holders[0]!))
    const attempts = async (): Promise<void> => {
      for (let attempt = 0; attempt < 200; attempt++) {
        await channel.write(join(own.sign('ticket', payload())), soon())
        await channel.read(soon())
      }
    }
    const error = await attempts().catch((reason: unknown) => reason)
    expect(error)
      .to.have.property('code')
      .that.matches(/CLOSED|ENDED/)
    const answer = await ask(holders[0]!, [join(orders.sign('ticket', payload()))])
    expect(answer).to.include({ t: 'joined' })
  })

  it('shows an outsider who knows the id no holder in the DHT', async () => {
    const coordinator = {
      peer: target.coordinator.peer,
      addresses: network.coordinatorAddrs,
    } as PeerAddress
    const bootstrap = [coordinator, holders[0]!].flatMap(({ peer, addresses }) =>
      addresses.map((address) => (address.includes('/p2p/') ? address : `${address}/p2p/${peer}`)),
    )
    const outsider = await createStranger({ role: 'coordinator', bootstrap, listen: [] })
    try {
      const find = async (key: CID): Promise<string[]> => {
        const found: string[] = []
        const ended = AbortSignal.timeout(3_000)
        try {
          for await (const { id } of outsider.mesh.contentRouting.findProviders(key, {
            signal: ended,
          })) {
            found.push(id.toString())
          }
        } catch (error) {
          if (!ended.aborted) throw error
        }
        return found
      }
      const channel = await stranger.control(coordinator)
      await channel.write(stranger.hello(network), soon())
      const { message: welcome } = await channel.read(soon())
      expect(welcome.type).to.equal('welcome')
      const { dhtSecret } = welcome as Extract<typeof welcome, { type: 'welcome' }>
      // With the secret the same look-up finds: without it nothing is proved.
      await until('the DHT knows holders', async () => {
        return (await find(holderKey(dhtSecret, bundle))).length > 0
      })
      const guesses = [
        ...[
          new Uint8Array(),
          new Uint8Array(32),
          network.rootKey,
          Buffer.from(network.network, 'hex'),
        ],
        Buffer.from(network.network),
      ].map((secret) => holderKey(secret, bundle))
      const bytes = new Uint8Array(Buffer.from(bundle, 'hex'))
      const hashed = new Uint8Array(createHash('sha256').update(bytes).digest())
      const plain = [bytes, hashed].map((digest) => CID.createV1(0x55, createDigest(0x12, digest)))
      for (const key of [...guesses, ...plain]) expect(await find(key)).to.deep.equal([])
      const file = await readFile(`${target.run.path}/network.json`)
      expect(file.includes(Buffer.from(dhtSecret).toString('hex'))).to.equal(false)
      expect(file.includes(Buffer.from(dhtSecret).toString('base64'))).to.equal(false)
      channel.abort(new Error('done'))
    } finally {
      await outsider.mesh.stop()
    }
  })
})
