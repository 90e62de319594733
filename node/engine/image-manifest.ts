/** What an engine needs of an image's manifest: its config and its layers, from the bottom. Pure. */
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Digest } from '../../protocol/ids.ts'

const descriptor = Type.Object({
  digest: Type.Unsafe<Digest>(Type.String({ pattern: '^sha256:[0-9a-f]{64}$' })),
  size: Type.Integer({ minimum: 0 }),
})
const schema = Type.Object({
  config: descriptor,
  layers: Type.Array(descriptor, { maxItems: 1_000 }),
})
const validator = Compile(schema)

export type ImageManifest = Readonly<Static<typeof schema>>
export type ImageBlob = ImageManifest['config']

/** Undefined where the bytes are no image manifest. */
export function parseImageManifest(bytes: Uint8Array): ImageManifest | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    return validator.Check(value) ? value : undefined
  } catch {
    return undefined
  }
}
