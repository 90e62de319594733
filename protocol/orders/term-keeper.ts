/**
 * Which coordinator a peer obeys: the one of the highest term that the root key ever certified to
 * it. Pure: the owner persists the certificate and hands it back at start. Without it a deposed or
 * stolen coordinator key would be obeyed for ever.
 */
import type { NetworkId, PeerId, Term } from '../ids.ts'
import { assertSignedBy } from '../signing/index.ts'
import type { Codec, Signed } from '../wire/index.ts'
import { OrderRefusedError } from './errors.ts'
import { type TermCertificate, termCertificateCodec } from './schemas.ts'

/** Parses a certificate of `network`. @throws {BadSignatureError} @throws {OrderRefusedError} */
export function openTermCertificate(
  signed: Signed,
  { network, rootKey }: { readonly network: NetworkId; readonly rootKey: Uint8Array },
): TermCertificate {
  assertSignedBy('term-certificate', signed, rootKey)
  const certificate = termCertificateCodec.decode(signed.payload)
  if (certificate.network !== network) throw wrongNetwork('term certificate', certificate.network)
  return certificate
}

type OrderKind =
  | 'allocation'
  | 'revocation'
  | 'ticket'
  | 'roster'
  | 'ban-list'
  | 'pulse'
  | 'audit-head'

export interface TermKeeper {
  readonly network: NetworkId
  readonly term: Term
  readonly coordinator: PeerId
  /** As signed: to be persisted and shown to others. */
  readonly certificate: Signed
  /** Takes a newer certificate; true when it raised the term. @throws as openTermCertificate, STALE_TERM */
  offer(certificate: Signed): boolean
  /**
   * Verifies, then parses, an order of the current term.
   * @throws {BadSignatureError} @throws {MalformedMessageError} @throws {OrderRefusedError} WRONG_NETWORK, STALE_TERM, UNKNOWN_TERM
   */
  open<T extends Readonly<{ network: NetworkId; term: Term }>>(
    kind: OrderKind,
    signed: Signed,
    codec: Codec<T>,
  ): T
}

/** Keeps the highest of `certificates`. @throws as {@link openTermCertificate} */
export function createTermKeeper(
  pinned: { readonly network: NetworkId; readonly rootKey: Uint8Array },
  certificate: Signed,
): TermKeeper {
  let current = openTermCertificate(certificate, pinned)
  let currentSigned = certificate
  return {
    network: pinned.network,
    get term() {
      return current.term
    },
    get coordinator() {
      return current.coordinator
    },
    get certificate() {
      return currentSigned
    },
    offer(signed) {
      const offered = openTermCertificate(signed, pinned)
      if (offered.term < current.term)
        throw staleTerm('term certificate', offered.term, current.term)
      if (offered.term === current.term) return false
      current = offered
      currentSigned = signed
      return true
    },
    open(kind, signed, codec) {
      assertSignedBy(kind, signed, current.orderKey)
      const order = codec.decode(signed.payload)
      if (order.network !== pinned.network) throw wrongNetwork(kind, order.network)
      if (order.term < current.term) throw staleTerm(kind, order.term, current.term)
      if (order.term > current.term) {
        throw new OrderRefusedError('UNKNOWN_TERM', `${kind} of term ${order.term}: not certified`)
      }
      return order
    },
  }
}

function wrongNetwork(kind: string, network: string): OrderRefusedError {
  return new OrderRefusedError('WRONG_NETWORK', `${kind} of another network (${network})`)
}

function staleTerm(kind: string, term: number, current: number): OrderRefusedError {
  return new OrderRefusedError('STALE_TERM', `${kind} of term ${term}; term ${current} is known`)
}
