/** OCI content digests: SHA-256 only, the one algorithm that every registry and engine speaks. */
import { createHash } from 'node:crypto'
import type { Digest } from '../../protocol/ids.ts'

const DIGEST = /^sha256:[0-9a-f]{64}$/

/** Whether text is a `sha256:` digest. */
export function isDigest(text: string): text is Digest {
  return DIGEST.test(text)
}

/** `sha256:<hex>` of some bytes. */
export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest
}
