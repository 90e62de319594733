/**
 * What a cache says of an image, checked against what can be known without the registry: a cache
 * holds no key of ours, and a wrong answer of one would otherwise be signed into every order.
 *
 * The limit: what a tag or an index names only the registry knows. So a cache can still answer with
 * another whole image, also for a digest, as that may be an index's; unless that digest was seen to
 * be an image manifest's, which is then the only right answer.
 */
import { hash } from 'node:crypto'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { ResolvedManifest } from '../../protocol/control/index.ts'
import type { Digest } from '../../protocol/ids.ts'
import { CountSchema, DigestSchema } from '../../protocol/wire/index.ts'
import { ImageFaultError } from './errors.ts'

const DescriptorSchema = Type.Object({ digest: DigestSchema, size: CountSchema() })
const manifestSchema = Compile(
  Type.Object({
    config: DescriptorSchema,
    layers: Type.Array(DescriptorSchema, { maxItems: 256 }),
  }),
)

export const wrongAnswerCode = 'CACHE_ANSWER_INVALID'

/** The cache's answer cannot be true; another cache may know better. */
export function wrongAnswer(what: string): ImageFaultError {
  return new ImageFaultError({
    code: wrongAnswerCode,
    message: `a cache gave a wrong answer: ${what}`,
  })
}

export type ResolveQuestion = Readonly<{
  reference: string
  hasCredentials: boolean
  /** Whether the digest is known to be an image manifest's, and so no index's. */
  isImageManifest: (digest: Digest) => boolean
}>

/**
 * The answer, as far as it may be believed.
 * @throws {ImageFaultError} CACHE_ANSWER_INVALID
 */
export function checkResolved(
  image: ResolvedManifest,
  question: ResolveQuestion,
): ResolvedManifest {
  const { manifest, manifestDigest, blobs, isPublic } = image
  if (`sha256:${hash('sha256', manifest, 'hex')}` !== manifestDigest) {
    throw wrongAnswer(`the manifest's digest is not ${manifestDigest}`)
  }
  const pinned = question.reference.split('@')[1] as Digest | undefined
  if (pinned !== undefined && pinned !== manifestDigest && question.isImageManifest(pinned)) {
    throw wrongAnswer(`${manifestDigest} for the image manifest ${pinned}`)
  }
  const listed = blobsOf(manifest)
  const told = blobs.map(({ digest, sizeBytes }) => `${digest} ${sizeBytes}`)
  if (told.join() !== listed.join()) {
    throw wrongAnswer(`the blobs are not those of the manifest ${manifestDigest}`)
  }
  // What credentials opened may be private, whatever the cache says.
  return { ...image, isPublic: isPublic && !question.hasCredentials }
}

/** `digest size` of config and layers from the bottom, each digest once, where it comes first. */
function blobsOf(manifest: Uint8Array): readonly string[] {
  const value = parse(manifest)
  // Both at once would be one thing to us and another to an engine (CVE-2021-41190).
  const isImage = manifestSchema.Check(value) && !('manifests' in value)
  if (!isImage) throw wrongAnswer('the manifest is no image manifest')
  const sizes = new Map<string, number>()
  for (const { digest, size } of [value.config, ...value.layers]) {
    if ((sizes.get(digest) ?? size) !== size) throw wrongAnswer(`${digest} has two sizes`)
    sizes.set(digest, size)
  }
  return [...sizes].map(([digest, size]) => `${digest} ${size}`)
}

function parse(manifest: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(manifest))
  } catch {
    throw wrongAnswer('the manifest is no JSON')
  }
}
