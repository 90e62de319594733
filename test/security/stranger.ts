/**
 * A peer that belongs to nobody: a libp2p host of this process that knows what anybody may know (the
 * network file, addresses, a bundle's id) and speaks each protocol by hand.
 */
import { randomBytes } from 'node:crypto'
import {
  controlLimits,
  controlProtocol,
  type DownMessage,
  downCodec,
  type Hello,
  type UpMessage,
  upCodec,
} from '../../protocol/control/index.ts'
import type { BundleId, PeerId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import {
  createMesh,
  dialPeer,
  type Mesh,
  type MeshInit,
  type PeerAddress,
  peerIdOf,
} from '../../protocol/mesh/index.ts'
import { type Network, readNetworkFile } from '../../protocol/network/index.ts'
import { nodeKeysCodec } from '../../protocol/orders/index.ts'
import { createSigner, type Signer } from '../../protocol/signing/index.ts'
import { type Channel, openChannel } from '../../protocol/wire/index.ts'
import type { Member } from '../chaos/member.ts'
import type { Target } from './target.ts'

export type Control = Channel<DownMessage, UpMessage>

export interface Stranger {
  readonly mesh: Mesh
  readonly peer: PeerId
  /** With the key of its identity. */
  readonly signer: Signer
  hello(network: Network, changes?: Partial<Hello>): Hello
  /** A control stream to the coordinator, on which nothing was said yet. */
  control(coordinator: PeerAddress): Promise<Control>
}

export const soon = (ms = 8_000) => ({ signal: AbortSignal.timeout(ms) })

export async function createStranger(init: Partial<MeshInit> = {}): Promise<Stranger> {
  const seed = init.seed ?? new Uint8Array(randomBytes(32))
  const listen = ['/ip4/127.0.0.1/tcp/0']
  const mesh = await createMesh(
    { role: 'node', listen, testbed: true, ...init, seed },
    { banned: () => false, logger: silentLogger },
  )
  const peer = peerIdOf(mesh.peerId)
  const signer = createSigner(seed)
  return {
    mesh,
    peer,
    signer,
    hello(network, changes = {}) {
      const keys = [new Uint8Array(randomBytes(32))]
      const offered = { v: 1, network: network.network, peer, replaces: true, keys } as const
      return {
        ...{ type: 'hello', role: 'node', version: '0.1.0', term: 1 as Hello['term'] },
        ...{ rosterNumber: 0, banNumber: 0, held: [], bundles: [] },
        addrs: mesh.getMultiaddrs().map(String),
        keys: signer.sign('node-keys', nodeKeysCodec.encode(offered)),
        ...changes,
      }
    },
    async control(coordinator) {
      const connection = await dialPeer(mesh, coordinator, soon())
      const stream = await connection.newStream(controlProtocol, soon())
      return openChannel(stream, { inbound: downCodec, outbound: upCodec, ...controlLimits })
    },
  }
}

export async function networkOf({ run }: Target): Promise<Network> {
  return await readNetworkFile(`${run.path}/network.json`)
}

/** Where a process of the network is dialled, as its ready line says. */
export async function addressOf(member: Member): Promise<PeerAddress> {
  const line = await member.ready(AbortSignal.timeout(10_000))
  const { peer, addresses } = line as { peer: PeerId; addresses: readonly string[] }
  return { peer, addresses }
}

/** The bundle that the coordinator last said is cached. */
export async function cachedBundle({ coordinator }: Target): Promise<BundleId> {
  const lines = await coordinator.log()
  const line = lines.findLast(({ msg }) => msg === 'the image is cached')
  return line?.bundle as BundleId
}
