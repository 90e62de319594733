/**
 * The next term of a network: a certificate of the root key that outranks all before it. For a
 * coordinator that is restored, moves to another machine, or whose keys are no longer its own. Pure;
 * the caller writes the files.
 */
import { PotluckError } from '../errors.ts'
import type { PeerId, Term } from '../ids.ts'
import { openTermCertificate, termCertificateCodec } from '../orders/index.ts'
import { createSigner } from '../signing/index.ts'
import type { Network } from './network-file.ts'

export type RaiseTermInit = Readonly<{
  rootSeed: Uint8Array
  /** Of the coordinator's identity in the new term. */
  coordinator: PeerId
  orderKey: Uint8Array
  /** Instead of the next one: where the file at hand is not of the network's last term. */
  term?: number | undefined
  issuedMs: number
}>

/** The network in its next term. @throws {PotluckError} WRONG_KEY: not the network's root key. TERM_NOT_HIGHER */
export function raiseTerm(network: Network, init: RaiseTermInit): Network {
  const root = createSigner(init.rootSeed)
  if (Buffer.compare(root.publicKey, network.rootKey) !== 0) {
    throw new PotluckError('WRONG_KEY', `the root key is not that of network ${network.network}`)
  }
  const { term: last } = openTermCertificate(network.certificate, network)
  const term = (init.term ?? last + 1) as Term
  if (term <= last) {
    throw new PotluckError('TERM_NOT_HIGHER', `term ${term}: the network file is of term ${last}`)
  }
  const { coordinator, orderKey, issuedMs } = init
  const certificate = { v: 1, network: network.network, term, coordinator, orderKey, issuedMs }
  const payload = termCertificateCodec.encode({ ...certificate, v: 1 })
  return { ...network, certificate: root.sign('term-certificate', payload) }
}
