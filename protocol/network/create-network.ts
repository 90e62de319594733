/**
 * Making a network: a root key (to be kept offline), the coordinator's identity and order key, and
 * the certificate of term 1 that joins them. Pure; the caller writes the files.
 */
import { randomBytes } from 'node:crypto'
import { identityFromSeed } from '../identity/index.ts'
import type { Term } from '../ids.ts'
import { termCertificateCodec } from '../orders/index.ts'
import { createSigner } from '../signing/index.ts'
import { type Network, networkIdOf } from './network-file.ts'

export type NewNetwork = Readonly<{
  network: Network
  /** 32 bytes each. The root seed signs certificates and belongs offline. */
  rootSeed: Uint8Array
  /** The coordinator's libp2p identity. */
  coordinatorSeed: Uint8Array
  /** Signs the orders of term 1. */
  orderSeed: Uint8Array
}>

export type CreateNetworkInit = Readonly<{
  /** Lower-case letters, digits and dashes. */
  name: string
  /** Multiaddrs at which peers dial the coordinator, without `/p2p/…`. */
  coordinatorAddrs: readonly string[]
  householdPerAddress?: readonly string[]
  /** ISO country by prefix. */
  countries?: Readonly<Record<string, string>>
  issuedMs: number
  random?: (length: number) => Uint8Array
}>

/** Draws the keys of a new network and signs its first certificate. */
export async function createNetwork(init: CreateNetworkInit): Promise<NewNetwork> {
  const random = init.random ?? ((length) => new Uint8Array(randomBytes(length)))
  const [rootSeed, coordinatorSeed, orderSeed] = [random(32), random(32), random(32)]
  const root = createSigner(rootSeed)
  const { peer } = await identityFromSeed(coordinatorSeed)
  const network = networkIdOf(root.publicKey)
  const payload = termCertificateCodec.encode({
    v: 1,
    network,
    term: 1 as Term,
    coordinator: peer,
    orderKey: createSigner(orderSeed).publicKey,
    issuedMs: init.issuedMs,
  })
  return {
    network: {
      name: init.name,
      network,
      rootKey: root.publicKey,
      certificate: root.sign('term-certificate', payload),
      coordinatorAddrs: init.coordinatorAddrs,
      householdPerAddress: init.householdPerAddress ?? [],
      countries: init.countries ?? {},
    },
    rootSeed,
    coordinatorSeed,
    orderSeed,
  }
}
