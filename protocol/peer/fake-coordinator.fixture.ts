/**
 * The coordinator's end of control streams for tests: real libp2p on loopback, real signatures, and
 * no mind of its own. A test says what it signs and sends, and reads what peers said.
 */

import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { auditHeadCodec } from '../audit/index.ts'
import {
  controlLimits,
  controlProtocol,
  type DownMessage,
  downCodec,
  type Hello,
  type UpMessage,
  upCodec,
} from '../control/index.ts'
import { publicKeyOfPeerId } from '../identity/index.ts'
import type { BundleId, PeerId, Term } from '../ids.ts'
import { silentLogger } from '../log/index.ts'
import { createMesh, type Mesh, peerIdOf } from '../mesh/index.ts'
import { createNetwork, type Network } from '../network/index.ts'
import {
  type BanList,
  banListCodec,
  nodeKeysCodec,
  type Roster,
  rosterCodec,
  termCertificateCodec,
  ticketCodec,
} from '../orders/index.ts'
import { type Sealed, seal } from '../sealing/index.ts'
import { assertSignedBy, createSigner } from '../signing/index.ts'
import { type Channel, openChannel, type Signed } from '../wire/index.ts'

type Said = Readonly<{ peer: PeerId; message: UpMessage }>

export interface FakeCoordinator {
  readonly network: Network
  readonly mesh: Mesh
  readonly said: readonly Said[]
  /** Set how many keys each beat answer asks for. */
  keysWanted: number
  /** The first message from number `from` on, said or to come within 10 s, that `matches`. */
  hears<T extends UpMessage['type']>(
    type: T,
    matches?: (message: Extract<UpMessage, { type: T }>) => boolean,
    from?: number,
  ): Promise<Extract<UpMessage, { type: T }>>
  send(peer: PeerId, message: DownMessage): Promise<void>
  /** Seals to a key that the peer offered, which is used up. */
  seal(peer: PeerId, plaintext: Uint8Array): Sealed
  keysOf(peer: PeerId): number
  /** Ends the peer's stream, as a restart would. */
  hangUp(peer: PeerId): void
  ticket(peer: PeerId, bundle: BundleId, expiresInMs?: number): Signed
  setRoster(members: Roster['members']): Signed
  setBans(peers: readonly PeerId[]): Signed
  /** The next term under the root key; `coordinator` of another fake takes over. */
  certify(term: number, coordinator: PeerId, orderKey: Uint8Array): Signed
  readonly orderKey: Uint8Array
  /** A head of an audit log whose entry `number` hashes to so many `fill`s. */
  auditHead(number: number, fill: number): Signed
  certificate: Signed
  readonly timeMs: () => number
  stop(): Promise<void>
}

/**
 * Starts one on a free loopback port.
 * @param predecessor whose network it takes over, in the next term
 */
export async function startFakeCoordinator(
  predecessor?: FakeCoordinator,
): Promise<FakeCoordinator> {
  const coordinatorSeed = new Uint8Array(randomBytes(32))
  const listening = await createMesh(
    { role: 'coordinator', seed: coordinatorSeed, listen: ['/ip4/127.0.0.1/tcp/0'], testbed: true },
    { banned: () => false, logger: silentLogger },
  )
  const rootSeed = new Uint8Array(randomBytes(32))
  const orderSeed = new Uint8Array(randomBytes(32))
  // createNetwork draws root, coordinator and order seed, in this order.
  const seeds = [rootSeed, coordinatorSeed, orderSeed]
  const { network } = await createNetwork({
    name: 'test',
    coordinatorAddrs: listening.getMultiaddrs().map((address) => {
      return address.toString().replace(/\/p2p\/.*$/, '')
    }),
    issuedMs: 1_000,
    random: () => seeds.shift() ?? new Uint8Array(randomBytes(32)),
  })
  const parts = { mesh: listening, rootSeed, orderSeed }
  if (!predecessor) return await serve({ ...parts, network, term: 1 as Term })
  const orderKey = createSigner(orderSeed).publicKey
  const certificate = predecessor.certify(2, peerIdOf(listening.peerId), orderKey)
  const { coordinatorAddrs } = network
  return await serve({
    ...parts,
    network: { ...predecessor.network, coordinatorAddrs, certificate },
    term: 2 as Term,
  })
}

type Parts = Readonly<{
  mesh: Mesh
  network: Network
  term: Term
  rootSeed: Uint8Array
  orderSeed: Uint8Array
}>

/** Answers hellos and beats. */
async function serve({ mesh, network, term, ...seeds }: Parts): Promise<FakeCoordinator> {
  const root = createSigner(seeds.rootSeed)
  const orders = createSigner(seeds.orderSeed)
  const timeMs = (): number => Math.round(1_000_000 + performance.now())
  const heard = new EventTarget()
  const said: Said[] = []
  const channels = new Map<PeerId, Channel<UpMessage, DownMessage>>()
  const offered = new Map<PeerId, Uint8Array[]>()
  const dhtSecret = new Uint8Array(randomBytes(32))
  const ended = new AbortController()
  const { signal } = ended
  let rosterNumber = 0
  let banNumber = 0
  let previous = new Uint8Array(32)
  const facts = () => ({ v: 1, network: network.network, term, issuedMs: timeMs() }) as const

  const signRoster = (members: Roster['members']): Signed => {
    rosterNumber += 1
    const payload = rosterCodec.encode({ ...facts(), number: rosterNumber, members })
    return orders.sign('roster', payload)
  }
  const signBans = (peers: readonly PeerId[]): Signed => {
    banNumber += 1
    const bans = peers.map((peer) => ({ peer, reason: 'test', sinceMs: timeMs() }))
    const list: BanList = { ...facts(), number: banNumber, previous, bans }
    const payload = banListCodec.encode(list)
    previous = new Uint8Array(Buffer.from(hashOf(payload)))
    return orders.sign('ban-list', payload)
  }
  let roster = signRoster([])
  let bans = signBans([])

  const takeKeys = (peer: PeerId, signed: Signed): void => {
    assertSignedBy('node-keys', signed, publicKeyOfPeerId(peer))
    const { keys, replaces } = nodeKeysCodec.decode(signed.payload)
    offered.set(peer, [...(replaces ? [] : (offered.get(peer) ?? [])), ...keys])
  }
  const hear = (peer: PeerId, message: UpMessage): void => {
    said.push({ peer, message })
    heard.dispatchEvent(new Event('message'))
  }
  const welcome = (hello: Hello): DownMessage => ({
    type: 'welcome',
    certificate: fake.certificate,
    roster,
    bans,
    timeMs: timeMs(),
    dhtSecret,
    observedAddr: hello.addrs[0] ?? '/ip4/127.0.0.1/tcp/1',
  })

  await mesh.handle(controlProtocol, async (stream, connection) => {
    const peer = peerIdOf(connection.remotePeer)
    const channel = openChannel(stream, {
      inbound: upCodec,
      outbound: downCodec,
      ...controlLimits,
    })
    channels.set(peer, channel)
    try {
      for (;;) {
        const { message } = await channel.read({ signal })
        if (message.type === 'hello') {
          takeKeys(peer, message.keys)
          await channel.write(welcome(message), { signal })
        }
        if (message.type === 'beat') {
          if (message.keys) takeKeys(peer, message.keys)
          const { keysWanted } = fake
          fake.keysWanted = 0
          const { seq } = message
          const answer = { seq, timeMs: timeMs(), renewals: [], keysWanted }
          await channel.write({ type: 'beat-answer', ...answer }, { signal })
        }
        hear(peer, message)
      }
    } catch {
      if (channels.get(peer) === channel) channels.delete(peer)
    }
  })

  const fake: FakeCoordinator = {
    network,
    mesh,
    said,
    keysWanted: 0,
    certificate: network.certificate,
    orderKey: orders.publicKey,
    timeMs,
    async hears(type, matches = () => true, from = 0) {
      type Wanted = Extract<UpMessage, { type: typeof type }>
      const deadline = AbortSignal.timeout(10_000)
      for (let at = from; ; at += 1) {
        while (at >= said.length) await once(heard, 'message', { signal: deadline })
        const message = said[at]?.message
        if (message?.type === type && matches(message as Wanted)) return message as Wanted
      }
    },
    async send(peer, message) {
      const channel = channels.get(peer)
      if (!channel) throw new Error(`no stream of ${peer}`)
      await channel.write(message, { signal })
    },
    seal(peer, plaintext) {
      const key = offered.get(peer)?.shift()
      if (!key) throw new Error(`${peer} has no keys left`)
      return seal(plaintext, key)
    },
    keysOf: (peer) => offered.get(peer)?.length ?? 0,
    hangUp(peer) {
      channels.get(peer)?.abort(new Error('hung up'))
    },
    ticket(peer, bundle, expiresInMs = 3_600_000) {
      const expiresMs = timeMs() + expiresInMs
      return orders.sign('ticket', ticketCodec.encode({ ...facts(), peer, bundle, expiresMs }))
    },
    setRoster(members) {
      roster = signRoster(members)
      return roster
    },
    setBans(peers) {
      bans = signBans(peers)
      return bans
    },
    auditHead(number, fill) {
      const head = { ...facts(), number, hash: new Uint8Array(32).fill(fill) }
      return orders.sign('audit-head', auditHeadCodec.encode(head))
    },
    certify(next, coordinator, orderKey) {
      const certificate = { ...facts(), term: next as Term, coordinator, orderKey }
      return root.sign('term-certificate', termCertificateCodec.encode(certificate))
    },
    async stop() {
      ended.abort(new Error('the fake coordinator stopped'))
      await mesh.stop()
    },
  }
  return fake
}

function hashOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}
