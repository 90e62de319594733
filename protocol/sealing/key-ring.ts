/**
 * A peer's one-time keys. Each order uses one up, so that what one order sealed stays closed even
 * when another's key leaks. Private halves lie as files on tmpfs: they outlast kill -9 (an order
 * that was accepted can be opened again), not a reboot, and are forgotten when the instance stops.
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Sealed } from './box.ts'
import { drawKeyPair, UnsealError, unseal } from './box.ts'

export interface KeyRing {
  /** Makes `count` new keys; returns their public halves (32 bytes each) to be offered. */
  make(count: number): Promise<readonly Uint8Array[]>
  /** Opens a box sealed to a key of this ring; the key stays until forgotten. @throws {UnsealError} */
  open(sealed: Sealed): Promise<Uint8Array>
  /** Erases a key. Harmless when unknown. */
  forget(publicKey: Uint8Array): Promise<void>
  /** Erases every key but those in `keep`: at start, what no held order needs. */
  forgetAllBut(keep: readonly Uint8Array[]): Promise<void>
}

/** A ring in `dir`, which should lie on tmpfs; it is made with mode 0700. */
export function createKeyRing({ dir }: { readonly dir: string }): KeyRing {
  const pathOf = (publicKey: Uint8Array): string =>
    join(dir, `${Buffer.from(publicKey).toString('hex')}.key`)
  return {
    async make(count) {
      await mkdir(dir, { recursive: true, mode: 0o700 })
      const publicKeys: Uint8Array[] = []
      for (let made = 0; made < count; made++) {
        const pair = drawKeyPair()
        const path = pathOf(pair.publicKey)
        await writeFile(`${path}.tmp`, pair.secretKey, { mode: 0o600 })
        await rename(`${path}.tmp`, path)
        pair.secretKey.fill(0)
        publicKeys.push(pair.publicKey)
      }
      return publicKeys
    },
    async open(sealed) {
      let secretKey: Uint8Array
      try {
        secretKey = await readFile(pathOf(sealed.recipientKey))
      } catch {
        throw new UnsealError('its key is not known here (used, forgotten, or lost in a reboot)')
      }
      try {
        return unseal(sealed, secretKey)
      } finally {
        secretKey.fill(0)
      }
    },
    async forget(publicKey) {
      await rm(pathOf(publicKey), { force: true })
    },
    async forgetAllBut(keep) {
      const kept = new Set(keep.map((key) => `${Buffer.from(key).toString('hex')}.key`))
      const names = await readdir(dir).catch(() => [])
      for (const name of names) if (!kept.has(name)) await rm(join(dir, name), { force: true })
    },
  }
}
