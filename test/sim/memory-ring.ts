/** One-time keys as a tmpfs holds them: they outlive a process, and go with the power. */
import { drawKeyPair, type KeyRing, UnsealError, unseal } from '../../protocol/sealing/index.ts'

/** A ring in memory. `lose`: the machine was rebooted. */
export function createMemoryRing(): KeyRing & { lose(): void } {
  const secrets = new Map<string, Uint8Array>()
  const nameOf = (publicKey: Uint8Array): string => Buffer.from(publicKey).toString('hex')
  return {
    async make(count) {
      return Array.from({ length: count }, () => {
        const { publicKey, secretKey } = drawKeyPair()
        secrets.set(nameOf(publicKey), secretKey)
        return publicKey
      })
    },
    async open(sealed) {
      const secret = secrets.get(nameOf(sealed.recipientKey))
      if (!secret) throw new UnsealError('its key is not known here')
      return unseal(sealed, secret)
    },
    async forget(publicKey) {
      secrets.delete(nameOf(publicKey))
    },
    async forgetAllBut(keep) {
      const kept = new Set(keep.map(nameOf))
      for (const name of secrets.keys()) if (!kept.has(name)) secrets.delete(name)
    },
    lose: () => secrets.clear(),
  }
}
