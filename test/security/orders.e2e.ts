/**
 * No order without the coordinator, over the wire: strangers at the coordinator's control stream, a
 * false coordinator at the address that a node was given, a man in the middle, and one who stole the
 * coordinator's identity but not the key that signs orders.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import {
  type Beat,
  controlLimits,
  controlProtocol,
  type DownMessage,
  downCodec,
  type InstanceReport,
  type UpMessage,
  upCodec,
} from '../../protocol/control/index.ts'
import { identityFromSeed, loadSeed } from '../../protocol/identity/index.ts'
import type { Epoch, InstanceId, PeerId, SlotId, Term } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { createMesh, type Mesh, type PeerAddress } from '../../protocol/mesh/index.ts'
import type { Network } from '../../protocol/network/index.ts'
import {
  type Allocation,
  allocationCodec,
  banListCodec,
  revocationCodec,
  rosterCodec,
  termCertificateCodec,
  ticketCodec,
} from '../../protocol/orders/index.ts'
import {
  type FakeCoordinator,
  startFakeCoordinator,
} from '../../protocol/peer/fake-coordinator.fixture.ts'
import { createSigner, type Signer } from '../../protocol/signing/index.ts'
import { type Channel, openChannel, type Signed } from '../../protocol/wire/index.ts'
import type { Member } from '../chaos/member.ts'
import { type InstanceSight, until } from './api.ts'
import { startMiddle } from './middle.ts'
import { createStranger, networkOf, type Stranger, soon } from './stranger.ts'
import { startTarget, type Target } from './target.ts'

type NodeStream = Channel<UpMessage, DownMessage>
const group = 'kept'
const bundle = 'ab'.repeat(32) as Allocation['bundle']

describe('orders by others than the coordinator', function () {
  this.timeout(120_000)
  let target: Target
  let network: Network
  let stranger: Stranger
  let coordinator: PeerAddress
  let before_: readonly InstanceSight[]
  let groupId: string

  before(async () => {
    target = await startTarget({ engine: 'simulated', nodes: 2, reconnectWindow: '5s' })
    network = await networkOf(target)
    stranger = await createStranger()
    const peer = target.coordinator.peer as PeerId
    coordinator = { peer, addresses: network.coordinatorAddrs }
    const container = { image: 'registry.example/app:1', resources: { cpu: 1, memory: 1_024 } }
    await target.api.create({ name: group, replicas: 1, container })
    before_ = await target.api.running(group, 1)
    const { body } = await target.api.ask('GET', `/${group}`)
    groupId = (body as { id: string }).id
  })
  after(async () => {
    await stranger?.mesh.stop()
    await target?.stop()
  })

  const untouched = async (): Promise<void> => {
    const facts = ({ id, potluck }: InstanceSight) => ({
      id,
      epoch: potluck.epoch,
      node: potluck.node,
    })
    const now = await target.api.running(group, 1)
    expect(now.map(facts)).to.deep.equal(before_.map(facts))
  }
  /** The coordinator's last word to messages on a new stream. */
  const refusal = async (messages: readonly UpMessage[]): Promise<string> => {
    const channel = await stranger.control(coordinator)
    try {
      for (const message of messages) await channel.write(message, soon())
      for (;;) {
        const { message } = await channel.read(soon())
        if (message.type === 'refused') return message.fault.code
      }
    } finally {
      channel.abort(new Error('done'))
    }
  }
  const report = (changes: Partial<InstanceReport> = {}): InstanceReport => {
    const [instance] = before_
    const { body } = { body: instance }
    return {
      ...{
        slot: `${groupId}/0` as SlotId,
        term: 1 as Term,
        epoch: (body?.potluck.epoch ?? 1) as Epoch,
      },
      ...{ instance: (body?.id ?? '') as InstanceId, state: 'failed', restarts: 0, bytesTotal: 0 },
      ...{ bytesDone: 0, bytesFromCaches: 0, bytesFromPeers: 0, bytesServed: 0 },
      ...changes,
    } as InstanceReport
  }
  const beat = (instances: readonly InstanceReport[] = []): Beat & { type: 'beat' } => ({
    ...{ type: 'beat', seq: 1, bundles: [], misbehaviour: [] },
    instances: [...instances],
  })

  describe('a stranger at the coordinator', () => {
    it('is refused when it does not say who it is, or says it falsely', async () => {
      const hello = stranger.hello(network)
      const other = createSigner(new Uint8Array(randomBytes(32)))
      const forged = other.sign('node-keys', hello.keys.payload)
      expect(await refusal([beat()])).to.equal('HELLO_EXPECTED')
      expect(await refusal([{ ...hello, role: 'cache' }])).to.equal('NOT_IN_ROSTER')
      expect(await refusal([{ ...hello, keys: forged }])).to.match(/SIGNATURE|KEYS/)
      expect(await refusal([hello, hello])).to.equal('HELLO_TWICE')
      const resolved = { type: 'resolved', id: randomUUID() } as UpMessage
      expect(await refusal([hello, resolved])).to.equal('WRONG_ROLE')
      expect(await refusal([hello, ...Array(500).fill(beat())])).to.equal('TOO_FAST')
    })

    it("cannot speak of others' slots", async () => {
      const channel = await stranger.control(coordinator)
      const { payload } = order({ node: stranger.peer, epoch: 99 as Epoch })
      const held = [
        {
          order: stranger.signer.sign('allocation', payload),
          report: report({ epoch: 99 as Epoch }),
        },
      ]
      await channel.write(stranger.hello(network, { held }), soon())
      expect((await channel.read(soon())).message.type).to.equal('welcome')
      const slots = [`${groupId}/0` as SlotId]
      for (const message of [
        { type: 'report', instance: report() },
        { type: 'report', instance: report({ epoch: 99 as Epoch }) },
        beat([report(), report({ epoch: 99 as Epoch, state: 'running' })]),
        {
          type: 'order-answer',
          slot: slots[0],
          term: 1,
          epoch: 1,
          refusal: { code: 'NO', message: '' },
        },
        { type: 'goodbye', reason: 'theirs', slots },
      ] as UpMessage[]) {
        await channel.write(message, soon())
      }
      await sleep(1_000)
      channel.abort(new Error('done'))
      await untouched()
    })
  })

  const order = (changes: Partial<Allocation> = {}) => {
    const now = Date.now()
    const node = target.nodes[0]!.peer as PeerId
    const base = { v: 1, network: network.network, term: 1 as Term } as const
    const ticket = { ...base, peer: node, bundle, issuedMs: now, expiresMs: now + 3_600_000 }
    const wrong = createSigner(new Uint8Array(randomBytes(32)))
    const allocation: Allocation = {
      ...base,
      ...{ slot: `${randomUUID()}/0` as SlotId, epoch: 1 as Epoch, node },
      ...{ instance: randomUUID() as InstanceId, nonce: new Uint8Array(randomBytes(16)) },
      ...{ issuedMs: now, notBeforeMs: 0, acceptUntilMs: now + 60_000, leaseEndMs: now + 60_000 },
      ...{ lostAfterMs: 0, orphanAfterMs: 0, strict: false, bundle, hints: [] },
      ticket: wrong.sign('ticket', ticketCodec.encode(ticket)),
      resources: { milliCpus: 1, memoryBytes: 1, storageBytes: 1, shmBytes: 1, gpuUuids: [] },
      restart: 'always',
      sealed: {
        recipientKey: new Uint8Array(randomBytes(32)),
        senderKey: new Uint8Array(randomBytes(32)),
        nonce: new Uint8Array(randomBytes(24)),
        box: new Uint8Array(randomBytes(64)),
      },
      ...changes,
    }
    return { payload: allocationCodec.encode(allocation), allocation }
  }

  describe('at the address that a node was given', () => {
    let fake: FakeCoordinator
    let victim: Member
    before(async () => {
      fake = await startFakeCoordinator()
      victim = target.nodes.find(({ peer }) => peer !== before_[0]?.potluck.node)!
    })
    after(() => fake.stop())

    const pointAt = async (addresses: readonly string[]): Promise<void> => {
      const file = JSON.parse(await readFile(`${target.run.path}/network.json`, 'utf8'))
      const path = `${target.run.path}/elsewhere.json`
      await writeFile(path, JSON.stringify({ ...file, coordinatorAddrs: addresses }))
      await victim.stop(10_000)
      const toml = await readFile(`${target.run.path}/${victim.name}.toml`, 'utf8')
      await writeFile(
        `${target.run.path}/${victim.name}.toml`,
        toml.replace(/^network = .*$/m, `network = ${JSON.stringify(path)}`),
      )
      victim.start()
    }

    it('a false coordinator with a key of its own hears nothing', async () => {
      await pointAt(fake.network.coordinatorAddrs)
      let knocks = 0
      fake.mesh.addEventListener('connection:open', () => {
        knocks += 1
      })
      await until('it was tried, in vain', async () => {
        const tried = (await victim.log()).filter(({ msg }) => msg === 'link could not be made')
        return tried.length > 2
      })
      expect(fake.said).to.deep.equal([])
      expect(knocks).to.equal(0)
      const log = await victim.log()
      expect(log.some(({ msg }) => msg === 'connected to the coordinator')).to.equal(false)
    })

    it('a man in the middle can cut, and change nothing', async () => {
      const port = Number(/tcp\/(\d+)/.exec(network.coordinatorAddrs[0] ?? '')?.[1])
      const middle = await startMiddle(port)
      try {
        await pointAt([`/ip4/127.0.0.1/tcp/${middle.port}`])
        await victim.ready(AbortSignal.timeout(30_000))
        for (const side of ['up', 'down'] as const) {
          const [cuts, ups] = [middle.cuts(), await upsOf(victim)]
          middle.change = side
          await until(`a stream with changed bytes is cut (${side})`, () => middle.cuts() > cuts)
          middle.change = undefined
          await until('it is back', async () => (await upsOf(victim)) > ups)
        }
      } finally {
        await middle.stop()
      }
      await untouched()
    })
  })

  describe('one who stole the identity, not the order key', () => {
    let mesh: Mesh
    let stream: NodeStream
    let node: Member
    const heard: UpMessage[] = []
    const orderKey = createSigner(new Uint8Array(randomBytes(32)))
    const ended = new AbortController()

    before(async () => {
      node = target.nodes.find(({ peer }) => peer === before_[0]?.potluck.node)!
      await target.coordinator.kill()
      const seed = await loadSeed(`${target.run.path}/coordinator/identity.key`)
      mesh = await createMesh(
        { role: 'coordinator', seed, listen: network.coordinatorAddrs, testbed: true },
        { banned: () => false, logger: silentLogger },
      )
      const opened = Promise.withResolvers<NodeStream>()
      await mesh.handle(controlProtocol, async (raw, { remotePeer }) => {
        if (remotePeer.toString() !== node.peer) return raw.abort(new Error('not you'))
        const channel = openChannel(raw, {
          inbound: upCodec,
          outbound: downCodec,
          ...controlLimits,
        })
        const { signal } = ended
        try {
          for (;;) {
            const { message } = await channel.read({ signal })
            heard.push(message)
            if (message.type === 'hello') {
              await channel.write(welcome(await genuineLists()), { signal })
              opened.resolve(channel)
              stream = channel
            }
            if (message.type === 'beat') {
              const answer = { seq: message.seq, timeMs: Date.now(), renewals: [], keysWanted: 0 }
              await channel.write({ type: 'beat-answer', ...answer }, { signal })
            }
          }
        } catch {
          // it hung up, as it should when it is lied to; it comes back
        }
      })
      stream = await Promise.race([
        opened.promise,
        sleep(30_000).then(() => Promise.reject(new Error('no node'))),
      ])
    })
    after(async () => {
      ended.abort()
      await mesh.stop()
      target.coordinator.start()
      await target.coordinator.ready(AbortSignal.timeout(30_000))
    })

    /** Overheard: lists are no secret, and genuine ones are taken again. */
    const genuineLists = async () => {
      const genuine = createSigner(await loadSeed(`${target.run.path}/coordinator/order.key`))
      const facts = {
        v: 1,
        network: network.network,
        term: 1 as Term,
        issuedMs: Date.now(),
      } as const
      const lists = {
        roster: { ...facts, number: 1_000, members: [] },
        bans: { ...facts, number: 0 },
      }
      const bans = { ...lists.bans, previous: new Uint8Array(32), bans: [] }
      return {
        roster: genuine.sign('roster', rosterCodec.encode(lists.roster)),
        bans: genuine.sign('ban-list', banListCodec.encode(bans)),
      }
    }
    const welcome = (lists: { roster: Signed; bans: Signed }): DownMessage => ({
      ...{ type: 'welcome', certificate: network.certificate, ...lists, timeMs: Date.now() },
      ...{ dhtSecret: new Uint8Array(32), observedAddr: '/ip4/127.0.0.1/tcp/1' },
    })
    /** Speaks, and waits for the next beat, which comes behind whatever was answered. */
    const say = async (message: DownMessage): Promise<readonly UpMessage[]> => {
      const from = heard.length
      await stream.write(message, soon()).catch(() => undefined)
      const isBeat = ({ type }: UpMessage): boolean => type === 'beat' || type === 'hello'
      await until('the node speaks', () => heard.slice(from).some(isBeat), 20_000)
      return heard.slice(from)
    }
    const runs = (): readonly InstanceReport[] => {
      const last = heard.findLast(({ type }) => type === 'beat') as Beat | undefined
      return last?.instances ?? []
    }

    it('is not obeyed: a few dozen forged orders start nothing', async () => {
      const identity = createSigner(await loadSeed(`${target.run.path}/coordinator/identity.key`))
      const { peer } = await identityFromSeed(
        await loadSeed(`${target.run.path}/coordinator/identity.key`),
      )
      expect(peer).to.equal(target.coordinator.peer)
      const to = { node: node.peer as PeerId }
      const slot = `${groupId}/0` as SlotId
      const signers: Signer[] = [orderKey, identity, stranger.signer]
      const shapes: Partial<Allocation>[] = [
        {},
        { slot, epoch: 100 as Epoch },
        { slot, epoch: (2 ** 40) as Epoch, term: 9 as Term },
        { strict: true, restart: 'never' },
      ]
      const forged: Signed[] = signers.flatMap((signer) =>
        shapes.flatMap((shape) => {
          const { payload } = order({ ...to, ...shape })
          const good = signer.sign('allocation', payload)
          return [
            good,
            signer.sign('ticket', payload),
            { payload, signature: new Uint8Array(64) },
            { payload, signature: good.signature.toReversed() },
          ]
        }),
      )
      expect(forged.length).to.be.greaterThan(36)
      const known = before_.map(({ id }) => id)
      const from = heard.length
      for (const one of forged)
        await stream.write({ type: 'order', order: one }, soon()).catch(() => undefined)
      await say({ type: 'order', order: forged[0]! })
      const answers = heard.slice(from).filter(({ type }) => type === 'order-answer')
      for (const answer of answers) expect(answer).to.have.nested.property('refusal.code')
      expect(runs().map(({ instance }) => instance)).to.deep.equal(known)
      const refused = (await node.log()).filter(({ msg }) => msg === 'an order was refused')
      expect(refused.length + answers.length).to.be.greaterThanOrEqual(forged.length)
    })

    it('stops nothing, bans nobody, certifies nobody', async () => {
      const facts = {
        v: 1,
        network: network.network,
        term: 1 as Term,
        issuedMs: Date.now(),
      } as const
      const revocation = revocationCodec.encode({
        ...{ ...facts, slot: `${groupId}/0` as SlotId, epoch: (2 ** 40) as Epoch },
        ...{ node: node.peer as PeerId, nonce: new Uint8Array(16), graceMs: 0, reason: 'theirs' },
      })
      await say({ type: 'revoke', revocation: orderKey.sign('revocation', revocation) })
      const ban = { peer: target.cache.peer as PeerId, reason: 'theirs', sinceMs: 1 }
      const bans = { ...facts, number: 5_000, previous: new Uint8Array(32), bans: [ban] }
      const signedBans = orderKey.sign('ban-list', banListCodec.encode(bans))
      await say({ type: 'lists', bans: signedBans })
      const members = [{ peer: stranger.peer, role: 'cache' as const, addrs: [] }]
      const roster = rosterCodec.encode({ ...facts, number: 5_000, members })
      await say({ type: 'lists', roster: orderKey.sign('roster', roster) })
      expect(runs().map(({ state }) => state)).to.deep.equal(['running'])
      const certificate = termCertificateCodec.encode({
        ...{ ...facts, term: 2 as Term, coordinator: stranger.peer, orderKey: orderKey.publicKey },
      })
      const from = heard.length
      await say({
        ...(welcome(await genuineLists()) as Extract<DownMessage, { type: 'welcome' }>),
        certificate: orderKey.sign('term-certificate', certificate),
      })
      stream.abort(new Error('again'))
      await until('it says hello again', () =>
        heard.slice(from).some(({ type }) => type === 'hello'),
      )
      const hello = heard.findLast(({ type }) => type === 'hello')
      expect(hello).to.deep.include({ term: 1, banNumber: 0, rosterNumber: 1_000 })
    })
  })
})

async function upsOf(member: Member): Promise<number> {
  const lines = await member.log()
  return lines.filter(({ msg }) => msg === 'connected to the coordinator').length
}
