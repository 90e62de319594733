/**
 * The one-time keys that a peer offers the coordinator: a fresh signed set at each connect, which
 * replaces the one before, and refills as they are used up. Source: bundle.md, "Sealing to a node".
 */
import type { Identity } from '../identity/index.ts'
import type { NetworkId } from '../ids.ts'
import { nodeKeysCodec } from '../orders/index.ts'
import type { KeyRing } from '../sealing/index.ts'
import type { Signed } from '../wire/index.ts'

/** As many as one message may bring. */
const keysMax = 64

export interface OneTimeKeys {
  /** The private halves. */
  readonly ring: KeyRing
  /**
   * A fresh set that replaces all offered before; those are erased but for `keep`.
   * @param keep public halves that held orders are still sealed to
   */
  fresh(keep: readonly Uint8Array[]): Promise<Signed>
  /** `count` more (at most 64). */
  refill(count: number): Promise<Signed>
  /** Erases all keys: at stop, when nothing sealed has to be opened again. */
  erase(): Promise<void>
}

export type OneTimeKeysInit = Readonly<{
  identity: Identity
  network: NetworkId
  /** How many a fresh set has, 1 to 64. */
  freshCount: number
}>

/** Keys of `ring`, offered under the identity's signature. Makes none by itself. */
export function createOneTimeKeys(
  { identity, network, freshCount }: OneTimeKeysInit,
  { ring }: { readonly ring: KeyRing },
): OneTimeKeys {
  const offer = async (count: number, replaces: boolean): Promise<Signed> => {
    const keys = [...(await ring.make(Math.min(count, keysMax)))]
    const offered = { v: 1, network, peer: identity.peer, replaces, keys } as const
    return identity.signer.sign('node-keys', nodeKeysCodec.encode(offered))
  }
  return {
    ring,
    async fresh(keep) {
      await ring.forgetAllBut(keep)
      return await offer(freshCount, true)
    },
    refill: (count) => offer(count, false),
    erase: () => ring.forgetAllBut([]),
  }
}
