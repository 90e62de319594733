/**
 * Reads manifests, indexes and configs: bytes from a stranger, so each is checked against a schema
 * and everything that could not be run is refused here, by name, before a layer is pulled. Sources:
 * OCI image-spec 1.1 (manifest.md, image-index.md, config.md), Docker's Image Manifest V2 Schema 2.
 */
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Digest } from '../../protocol/ids.ts'
import { ImageSourceError } from './errors.ts'
import type { ResolvedBlob } from './image-source.ts'
import { formatPlatform, type Platform, platformNotFound, platformRank } from './platform.ts'

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
const DOCKER_INDEX = 'application/vnd.docker.distribution.manifest.list.v2+json'
const MANIFESTS: readonly string[] = [OCI_MANIFEST, DOCKER_MANIFEST]
const INDEXES: readonly string[] = [OCI_INDEX, DOCKER_INDEX]
const CONFIGS: readonly string[] = [
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
]
const LAYERS: readonly string[] = [
  'application/vnd.oci.image.layer.v1.tar',
  'application/vnd.oci.image.layer.v1.tar+gzip',
  'application/vnd.oci.image.layer.v1.tar+zstd',
  'application/vnd.docker.image.rootfs.diff.tar',
  'application/vnd.docker.image.rootfs.diff.tar.gzip',
  'application/vnd.docker.image.rootfs.diff.tar.zstd',
]

/** What to ask a registry for; schema 1 is left out, so that only old registries answer with it. */
export const MANIFEST_ACCEPT = [...INDEXES, ...MANIFESTS].join(', ')
/** The distribution-spec lets registries refuse more than 4 MiB; so do we. */
export const MANIFEST_BYTES_MAX = 4 * 1024 * 1024
/** A config is read into memory too. */
export const CONFIG_BYTES_MAX = 4 * 1024 * 1024
/** Docker's graph drivers take 127 layers; twice that leaves room for others. */
const LAYERS_MAX = 256

const DescriptorSchema = Type.Object({
  mediaType: Type.String({ maxLength: 255 }),
  digest: Type.String({ pattern: '^sha256:[0-9a-f]{64}$' }),
  size: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  urls: Type.Optional(Type.Array(Type.String())),
})
const PlatformSchema = Type.Object({
  os: Type.String({ maxLength: 64 }),
  architecture: Type.String({ maxLength: 64 }),
  variant: Type.Optional(Type.String({ maxLength: 64 })),
})
const ManifestSchema = Type.Object({
  schemaVersion: Type.Literal(2),
  artifactType: Type.Optional(Type.String()),
  config: DescriptorSchema,
  layers: Type.Array(DescriptorSchema, { minItems: 1, maxItems: LAYERS_MAX }),
})
const IndexSchema = Type.Object({
  schemaVersion: Type.Literal(2),
  manifests: Type.Array(
    Type.Intersect([
      DescriptorSchema,
      Type.Object({
        platform: Type.Optional(PlatformSchema),
        artifactType: Type.Optional(Type.String()),
      }),
    ]),
    { maxItems: 4096 },
  ),
})
const ConfigSchema = Type.Intersect([
  PlatformSchema,
  Type.Object({ rootfs: Type.Object({ diff_ids: Type.Array(Type.String()) }) }),
])
const manifestSchema = Compile(ManifestSchema)
const indexSchema = Compile(IndexSchema)
const configSchema = Compile(ConfigSchema)

export type ParsedManifest =
  | Readonly<{
      kind: 'image'
      mediaType: string
      config: ResolvedBlob
      layers: readonly ResolvedBlob[]
    }>
  | Readonly<{ kind: 'index'; entries: readonly IndexEntry[] }>

/** An image in an index; without a platform where the index names none. */
export type IndexEntry = Readonly<{ blob: ResolvedBlob; platform: Platform | undefined }>

/**
 * @param image - what to call it in errors.
 * @param contentType - the response's, which counts where the bytes name no type of their own.
 * @throws {ImageSourceError} `MANIFEST_UNSUPPORTED` or, for what is no manifest, `REGISTRY_ERROR`.
 */
export function parseManifest(
  image: string,
  bytes: Uint8Array,
  contentType: string | undefined,
): ParsedManifest {
  const value = parseJson(image, 'manifest', bytes)
  const mediaType = typeof value.mediaType === 'string' ? value.mediaType : contentType
  if (value.schemaVersion === 1 || mediaType?.includes('docker.distribution.manifest.v1')) {
    throw unsupported(image, 'is in the old schema 1 format', 'Push it again with a current tool')
  }
  // A document that is both could be one thing to us and another to the engine (CVE-2021-41190).
  if ('manifests' in value && ('layers' in value || 'config' in value)) {
    throw unsupported(image, 'has a manifest that is an index as well', 'Push it again')
  }
  if (
    INDEXES.includes(mediaType ?? '') ||
    (!MANIFESTS.includes(mediaType ?? '') && 'manifests' in value)
  ) {
    return parseIndex(image, value)
  }
  return parseImage(image, value, mediaType)
}

function parseIndex(image: string, value: object): ParsedManifest {
  if (!indexSchema.Check(value)) throw malformed(image, 'index', indexSchema.Errors(value)[0])
  const entries = value.manifests
    .filter(({ mediaType, artifactType }) => MANIFESTS.includes(mediaType) && !artifactType)
    .map((entry) => ({ blob: resolvedBlob(entry), platform: entry.platform }))
  return { kind: 'index', entries }
}

function parseImage(image: string, value: object, mediaType: string | undefined): ParsedManifest {
  if (!manifestSchema.Check(value))
    throw malformed(image, 'manifest', manifestSchema.Errors(value)[0])
  const { config, layers } = value
  if (!CONFIGS.includes(config.mediaType) || value.artifactType) {
    const type = shown(value.artifactType || config.mediaType)
    throw unsupported(image, `is no container image but an artifact (${type})`, 'Name an image')
  }
  if (config.size > CONFIG_BYTES_MAX) {
    throw unsupported(image, `has a config of ${config.size} bytes`, 'At most 4 MiB are read')
  }
  for (const { mediaType: layerType, urls } of layers) {
    if (layerType.includes('foreign') || layerType.includes('nondistributable') || urls?.length) {
      throw unsupported(image, 'has a foreign layer, kept outside its registry', 'Push all layers')
    }
    if (!LAYERS.includes(layerType)) {
      throw unsupported(image, `has a layer of type ${shown(layerType)}`, 'Use tar, gzip or zstd')
    }
  }
  checkSizesAgree(image, [config, ...layers])
  return {
    kind: 'image',
    mediaType: MANIFESTS.includes(mediaType ?? '')
      ? (mediaType ?? '')
      : guessMediaType(config.mediaType),
    config: resolvedBlob(config),
    layers: layers.map(resolvedBlob),
  }
}

/** The entry that runs best on `wanted`. One without a platform is taken when nothing else is. */
export function chooseEntry(
  image: string,
  entries: readonly IndexEntry[],
  wanted: Platform,
): IndexEntry {
  let best: { entry: IndexEntry; rank: number } | undefined
  for (const entry of entries) {
    const rank = entry.platform ? platformRank(entry.platform, wanted) : 0.5
    if (rank > (best?.rank ?? 0)) best = { entry, rank }
  }
  if (best) return best.entry
  const offered = entries.flatMap(({ platform }) => (platform ? [platform] : []))
  throw platformNotFound(image, wanted, offered)
}

/**
 * Checks an image's config, once its bytes are there: only it names the platform of an image that
 * has no index, and a config for other layers than the manifest's would fail in every engine.
 *
 * @throws {ImageSourceError} `PLATFORM_NOT_FOUND` or `MANIFEST_UNSUPPORTED`.
 */
export function checkImageConfig(
  image: Readonly<{ reference: string; layers: readonly ResolvedBlob[] }>,
  config: Uint8Array,
  wanted: Platform,
): void {
  const value = parseJson(image.reference, 'config', config)
  if (!configSchema.Check(value)) {
    throw malformed(image.reference, 'config', configSchema.Errors(value)[0])
  }
  const { os, architecture, variant } = value
  if (platformRank({ os, architecture, variant }, wanted) === 0) {
    throw platformNotFound(image.reference, wanted, [{ os, architecture, variant }])
  }
  const described = value.rootfs.diff_ids.length
  if (described !== image.layers.length) {
    throw unsupported(
      image.reference,
      `has ${image.layers.length} layers but a config for ${described} (${formatPlatform(wanted)})`,
      'Push it again',
    )
  }
}

function parseJson(image: string, what: string, bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>
    }
  } catch {
    // The parser's message quotes the bytes, which may hold anything; ours does not.
  }
  throw new ImageSourceError(
    'REGISTRY_ERROR',
    `the ${what} of ${image} is no JSON object. Check that the address is a registry's`,
    { fields: { image } },
  )
}

/** One digest with two sizes: one of them is a lie, and would be met only after gigabytes. */
function checkSizesAgree(image: string, blobs: readonly Static<typeof DescriptorSchema>[]): void {
  const sizes = new Map<string, number>()
  for (const { digest, size } of blobs) {
    const known = sizes.get(digest) ?? size
    if (known !== size) throw unsupported(image, `gives ${digest} two sizes`, 'Push it again')
    sizes.set(digest, size)
  }
}

function resolvedBlob({ digest, size, mediaType }: Static<typeof DescriptorSchema>): ResolvedBlob {
  return { digest: digest as Digest, sizeBytes: size, mediaType }
}

/** A manifest without a type of its own: OCI makes the field optional, Docker does not. */
function guessMediaType(configType: string): string {
  return configType.startsWith('application/vnd.docker.') ? DOCKER_MANIFEST : OCI_MANIFEST
}

function unsupported(image: string, why: string, remedy: string): ImageSourceError {
  return new ImageSourceError('MANIFEST_UNSUPPORTED', `${image} ${why}. ${remedy}`, {
    fields: { image },
  })
}

function malformed(
  image: string,
  what: string,
  error: { instancePath: string; message: string } | undefined,
): ImageSourceError {
  const where = error ? `${shown(error.instancePath) || '/'} ${shown(error.message)}` : 'invalid'
  return unsupported(image, `has a malformed ${what} (${where})`, 'Push it again')
}

/** Text from a stranger, short and printable. */
function shown(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 96)
}
