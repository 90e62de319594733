/** A cache that has every image: it resolves and ingests at once, as a warm one nearly does. */
import { createHash } from 'node:crypto'
import { fakeImage } from '../../coordinator/testing/fake-image.ts'
import { blobIdFor, chunkSizeFor } from '../../protocol/bundle/index.ts'
import {
  type ControlLink,
  type DownMessage,
  ingestSecretsCodec,
} from '../../protocol/control/index.ts'
import type { Identity } from '../../protocol/identity/index.ts'
import type { BundleId } from '../../protocol/ids.ts'
import type { Network } from '../../protocol/network/index.ts'
import type { KeyRing } from '../../protocol/sealing/index.ts'
import { createMemoryRing } from './memory-ring.ts'
import { openSimPeer } from './peer.ts'
import type { Disk } from './world/disk.ts'
import type { Machine } from './world/machine.ts'
import type { SimNetwork } from './world/network.ts'

export class SimCache {
  readonly machine: Machine
  readonly #init: SimCacheInit
  readonly #ring: KeyRing = createMemoryRing()
  readonly #bundles = new Set<BundleId>()

  constructor(init: SimCacheInit) {
    this.machine = init.machine
    this.#init = init
  }

  async start(): Promise<void> {
    const { machine, identity, network, internet, disk, random } = this.#init
    const life = machine.begin()
    const host = internet.host({ peer: identity.peer, machine, life })
    const store = disk.open(life)
    const peer = await openSimPeer({
      ...{ role: 'cache' as const, network, identity, ring: this.#ring, store, host, life, random },
    })
    const state = () => ({ instances: [], bundles: [...this.#bundles], misbehaviour: [] })
    const link: ControlLink = peer.connect({
      facts: async () => ({ held: [], bundles: [...this.#bundles], keysInUse: [] }),
      state,
      onMessage: (message) => void this.#take(message, link),
    })
  }

  async #take(message: DownMessage, link: ControlLink): Promise<void> {
    if (message.type === 'resolve') {
      const { id, reference } = message
      link.send({ type: 'resolved', id, image: fakeImage(reference) })
    }
    if (message.type !== 'ingest') return
    const { id, sealed } = message
    const { blobs } = ingestSecretsCodec.decode(await this.#ring.open(sealed))
    const blobIds = blobs.map(({ key, digest, sizeBytes }) =>
      blobIdFor(key, digest, chunkSizeFor(sizeBytes)),
    )
    const bundle = createHash('sha256').update(blobIds.join()).digest('hex') as BundleId
    this.#bundles.add(bundle)
    link.send({ type: 'ingested', id, bundle, blobIds, registryBytes: 2 })
  }
}

export type SimCacheInit = Readonly<{
  machine: Machine
  identity: Identity
  network: Network
  internet: SimNetwork
  disk: Disk
  random: () => number
}>
