/** Hosts on loopback for tests of what runs over the mesh; stopped together. */
import { randomBytes } from 'node:crypto'
import { silentLogger } from '../log/index.ts'
import { createMesh, type Mesh, type MeshComponents, type MeshInit } from './create-mesh.ts'
import { peerIdOf } from './identity.ts'
import type { PeerAddress } from './link.ts'

export type HostInit = Partial<MeshInit> & Partial<Pick<MeshComponents, 'banned' | 'relaysFor'>>

export type MeshStreet = Readonly<{
  /** Starts a host that listens on a free loopback port. */
  host(init?: HostInit): Promise<Mesh>
  stop(): Promise<void>
}>

/** A street of hosts in this process. */
export function createMeshStreet(): MeshStreet {
  const hosts: Mesh[] = []
  return {
    async host({ banned = () => false, relaysFor = () => false, ...init } = {}) {
      const mesh = await createMesh(
        {
          role: 'node',
          seed: randomBytes(32),
          listen: ['/ip4/127.0.0.1/tcp/0'],
          testbed: true,
          ...init,
        },
        { banned, relaysFor, logger: silentLogger },
      )
      hosts.push(mesh)
      return mesh
    },
    async stop() {
      await Promise.all(hosts.splice(0).map(async (mesh) => mesh.stop()))
    },
  }
}

/** How to reach a host. */
export function addressOf(mesh: Mesh): PeerAddress {
  return {
    peer: peerIdOf(mesh.peerId),
    addresses: mesh.getMultiaddrs().map((address) => address.toString()),
  }
}
