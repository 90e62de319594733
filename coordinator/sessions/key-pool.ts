/**
 * A peer's one-time keys, in memory: a set signed by the peer replaces what it offered before (at
 * hello) or adds to it (in a beat), and each key is taken once. A key that was taken never comes
 * back within a session, whatever the peer offers, unless it is given back unused.
 */
import { publicKeyOfPeerId } from '../../protocol/identity/index.ts'
import type { NetworkId, PeerId } from '../../protocol/ids.ts'
import { nodeKeysCodec } from '../../protocol/orders/index.ts'
import { assertSignedBy } from '../../protocol/signing/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'
import { SessionRefusedError } from './errors.ts'

/** How many keys a peer should have with us, and when it is asked for more. */
const wanted = 32
const refillBelow = 24
/** Beyond this a peer must say hello again: remembering used keys needs a bound. */
const seenMax = 65_536

export interface KeyPool {
  /** @throws {BadSignatureError} @throws {MalformedMessageError} @throws {SessionRefusedError} */
  offer(signed: Signed, at: 'hello' | 'beat'): void
  /** A key that was never taken before; undefined when there is none. */
  take(): Uint8Array | undefined
  /** Of a taken key to which nothing was sealed that left this process. */
  giveBack(key: Uint8Array): void
  readonly size: number
  /** How many the next beat should bring. */
  readonly wantedCount: number
}

export function createKeyPool(peer: PeerId, network: NetworkId): KeyPool {
  const identity = publicKeyOfPeerId(peer)
  const free = new Map<string, Uint8Array>()
  const seen = new Set<string>()
  return {
    offer(signed, at) {
      assertSignedBy('node-keys', signed, identity)
      const offered = nodeKeysCodec.decode(signed.payload)
      if (offered.peer !== peer || offered.network !== network) {
        throw new SessionRefusedError('KEYS_NOT_ACCEPTED', 'keys of another peer or network')
      }
      if (offered.replaces !== (at === 'hello')) {
        throw new SessionRefusedError(
          'KEYS_NOT_ACCEPTED',
          'keys at hello replace those before, keys in a beat add to them',
        )
      }
      if (seen.size + offered.keys.length > seenMax) {
        throw new SessionRefusedError('KEYS_NOT_ACCEPTED', `more than ${seenMax} keys; reconnect`)
      }
      if (offered.replaces) free.clear()
      for (const key of offered.keys) {
        const name = Buffer.from(key).toString('base64')
        if (seen.has(name)) continue
        seen.add(name)
        if (free.size < 2 * wanted) free.set(name, key)
      }
    },
    take() {
      for (const [name, key] of free) {
        free.delete(name)
        return key
      }
      return undefined
    },
    giveBack(key) {
      free.set(Buffer.from(key).toString('base64'), key)
    },
    get size() {
      return free.size
    },
    get wantedCount() {
      return free.size < refillBelow ? wanted - free.size : 0
    },
  }
}
