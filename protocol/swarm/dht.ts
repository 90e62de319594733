/**
 * Who holds a bundle, by the DHT. The key is an HMAC of the bundle's id under a secret that only
 * members are given, so that someone who learned an id cannot list the homes that hold it. What is
 * found is a hint: holders still ask for a ticket, and the descriptor's hash comes with the order.
 */
import { createHmac } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import type { BundleId } from '../ids.ts'
import { type Mesh, type PeerAddress, peerIdOf } from '../mesh/index.ts'

/** multicodec `raw` and `sha2-256`: what a DHT server expects of a provider key. */
const rawCodec = 0x55
const sha256Code = 0x12

export interface HolderIndex {
  /** Says that this host holds (part of) a bundle; re-said by the DHT until `withdraw`. */
  provide(bundle: BundleId, options: { readonly signal: AbortSignal }): Promise<void>
  /** Stops re-saying; the record runs out by itself. */
  withdraw(bundle: BundleId, options: { readonly signal: AbortSignal }): Promise<void>
  /** Possible holders as they are found. Nothing while the secret is not known. */
  find(bundle: BundleId, options: { readonly signal: AbortSignal }): AsyncIterable<PeerAddress>
}

/** The DHT key of a bundle under a secret. */
export function holderKey(secret: Uint8Array, bundle: BundleId): CID {
  const digest = createHmac('sha256', secret).update(Buffer.from(bundle, 'hex')).digest()
  return CID.createV1(rawCodec, createDigest(sha256Code, new Uint8Array(digest)))
}

/** Finds and names holders under keyed ids. @param secret the network's DHT secret, undefined until the coordinator has sent it. */
export function createHolderIndex(
  components: Readonly<{ mesh: Mesh; secret: () => Uint8Array | undefined }>,
): HolderIndex {
  const { mesh, secret } = components
  return {
    async provide(bundle, { signal }) {
      const known = secret()
      if (known) await mesh.contentRouting.provide(holderKey(known, bundle), { signal })
    },
    async withdraw(bundle, { signal }) {
      const known = secret()
      if (known) await mesh.contentRouting.cancelReprovide(holderKey(known, bundle), { signal })
    },
    async *find(bundle, { signal }) {
      const known = secret()
      if (!known) return
      const found = mesh.contentRouting.findProviders(holderKey(known, bundle), { signal })
      for await (const { id, multiaddrs } of found) {
        yield { peer: peerIdOf(id), addresses: multiaddrs.map((address) => address.toString()) }
      }
    },
  }
}
