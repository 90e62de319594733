/**
 * Which coordinator this peer obeys, over restarts: the higher of what it remembers and what the
 * network file says. A newer certificate is on disk before anything is obeyed under it, so that no
 * crash leads back to a deposed coordinator.
 */
import { errorCode } from '../errors.ts'
import type { Network } from '../network/index.ts'
import { createTermKeeper, openTermCertificate, type TermKeeper } from '../orders/index.ts'
import type { Store } from '../store/index.ts'
import type { Signed } from '../wire/index.ts'
import { peerRecords } from './records.ts'

export interface PeerTerm {
  readonly keeper: TermKeeper
  /**
   * Takes a certificate; true when it raised the term, which then is on disk.
   * @throws {BadSignatureError} @throws {OrderRefusedError} STALE_TERM, WRONG_NETWORK
   */
  adopt(certificate: Signed): Promise<boolean>
}

/** Loads the newest certificate known here. @throws {StoreRecordError} what is remembered is damaged. @throws as `openTermCertificate` */
export async function openPeerTerm(
  network: Network,
  { store }: { readonly store: Store },
): Promise<PeerTerm> {
  const records = peerRecords(store)
  const keeper = createTermKeeper(network, network.certificate)
  const remembered = await records.get('certificate')
  if (remembered) {
    try {
      keeper.offer(remembered)
    } catch (error) {
      // The file may be newer than what is remembered; anything else is damage to be told.
      if (errorCode(error) !== 'STALE_TERM') throw error
    }
  }
  return {
    keeper,
    async adopt(certificate) {
      const { term } = openTermCertificate(certificate, network)
      if (term > keeper.term) await records.put('certificate', certificate)
      return keeper.offer(certificate)
    },
  }
}
