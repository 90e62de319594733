import { randomBytes, randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { controlProtocol, downCodec, upCodec } from '../../protocol/control/index.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { createMesh, dialPeer, type Mesh, peerIdOf } from '../../protocol/mesh/index.ts'
import { openChannel } from '../../protocol/wire/index.ts'
import {
  createTestNetwork,
  eventually,
  startCoordinator,
  type TestCoordinator,
  type TestNetwork,
} from '../testing/coordinator.ts'
import { FakeCache } from '../testing/fake-cache.ts'
import { FakeNode } from '../testing/fake-node.ts'
import { createHouseholds } from './index.ts'

describe('coordinator/sessions', () => {
  let net: TestNetwork
  let coordinator: TestCoordinator
  let honest: FakeNode
  let stranger: Mesh

  before(async () => {
    net = await createTestNetwork()
    coordinator = await startCoordinator(net)
    honest = new FakeNode({ network: net.network, addresses: coordinator.addresses })
    await honest.start()
    await eventually('the honest node is up', () => honest.link?.isUp)
    stranger = await createMesh(
      { role: 'node', seed: new Uint8Array(randomBytes(32)), testbed: true },
      { banned: () => false, logger: silentLogger },
    )
  })
  after(async () => {
    await stranger.stop()
    await honest.crash()
    await coordinator.stop()
    await net.remove()
  })

  const openStream = async () => {
    const { coordinator: peer } = await import('../../protocol/orders/index.ts').then(
      ({ openTermCertificate }) => openTermCertificate(net.network.certificate, net.network),
    )
    const connection = await dialPeer(
      stranger,
      { peer, addresses: coordinator.addresses },
      { signal: AbortSignal.timeout(5_000) },
    )
    return connection.newStream(controlProtocol, { signal: AbortSignal.timeout(5_000) })
  }

  it('ends a stream with random, truncated or oversized bytes, and harms nothing else', async () => {
    const frames = [
      ...Array.from({ length: 20 }, () => randomBytes(1 + Math.floor(Math.random() * 200))),
      Buffer.from([0x05, 0xa1, 0x64]), // less than its length says, then closed
      Buffer.from([0xff, 0xff, 0xff, 0x7f]), // 256 MiB are announced
      Buffer.concat([Buffer.from([1]), Buffer.from([0xf6])]), // null is no message
    ]
    for (const bytes of frames) {
      const stream = await openStream()
      const closed = new Promise((resolve) => stream.addEventListener('close', resolve))
      stream.send(bytes)
      await stream.close().catch(() => undefined)
      await closed
    }
    expect(honest.link?.isUp).to.equal(true)
    honest.link?.beatNow()
    const { status } = await coordinator.request('GET', '/organizations/default/quotas')
    expect(status).to.equal(200)
  })

  const refusalOf = async (message: Parameters<typeof upCodec.encode>[0]): Promise<string> => {
    const stream = await openStream()
    const channel = openChannel(stream, {
      ...{ inbound: downCodec, outbound: upCodec },
      ...{ maxFrameBytes: 1 << 20, maxBufferedBytes: 1 << 21 },
    })
    const signal = AbortSignal.timeout(5_000)
    await channel.write(message, { signal })
    const answer = await channel.read({ signal })
    channel.abort(new Error('seen'))
    return answer.message.type === 'refused' ? answer.message.fault.code : answer.message.type
  }
  const hello = {
    ...{ type: 'hello', role: 'node', version: 'x', term: 1, rosterNumber: 0, banNumber: 0 },
    ...{ addrs: [], held: [], bundles: [] },
    keys: { payload: new Uint8Array(10), signature: new Uint8Array(64) },
  } as never

  it('refuses what is no hello, keys that are not signed, and caches not in the roster', async () => {
    expect(await refusalOf({ type: 'goodbye', reason: '' })).to.equal('HELLO_EXPECTED')
    expect(await refusalOf({ ...(hello as object), role: 'cache' } as never)).to.equal(
      'NOT_IN_ROSTER',
    )
    expect(await refusalOf(hello)).to.equal('BAD_SIGNATURE')
    const cache = new FakeCache({ network: net.network, addresses: coordinator.addresses })
    await cache.start()
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(cache.link?.isUp).to.equal(false)
    await cache.crash()
    expect(peerIdOf(stranger.peerId)).to.not.equal(honest.peer)
  })

  it('ends the session of a peer that talks without ever beating', async () => {
    const { network } = net
    const { addresses } = coordinator
    const talker = new FakeNode({ network, addresses, beatMs: 60_000 })
    await talker.start()
    await eventually('it is up', () => talker.link?.isUp)
    const answer = { type: 'order-answer', slot: `${randomUUID()}/0`, term: 1, epoch: 1 } as never
    const talking = setInterval(() => talker.link?.send(answer), 100)
    try {
      await eventually('its stream ended', () => talker.link?.isUp === false, 4_000)
    } finally {
      clearInterval(talking)
      await talker.crash()
    }
  })

  it('sees households as networks do', () => {
    const householdOf = createHouseholds(['10.0.0.0/8', 'fd00::/8'])
    expect(householdOf('/ip4/203.0.113.9/tcp/1')).to.equal('203.0.113.9')
    expect(householdOf('/ip6/2001:db8:1:2:3:4:5:6/tcp/1')).to.equal('2001:db8:1:2::/64')
    expect(householdOf('/ip6/2001:db8:1:2::9/tcp/1')).to.equal('2001:db8:1:2::/64')
    expect(householdOf('/ip6/2001:db8::1/tcp/1')).to.equal('2001:db8:0:0::/64')
    expect(householdOf('/ip6/fd00::1/tcp/1')).to.equal('fd00::1')
    expect(householdOf('/ip4/10.1.2.3/tcp/1')).to.equal('10.1.2.3')
    expect(householdOf('/ip6/::ffff:203.0.113.9/tcp/1')).to.equal('203.0.113.9')
  })
})
