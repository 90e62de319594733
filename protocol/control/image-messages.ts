/**
 * What the coordinator asks of caches, what they answer, and the secrets that are sealed inside:
 * resolving a reference, and reading an image once from its registry.
 */
import Type, { type Static } from 'typebox'
import { SealedSchema } from '../sealing/index.ts'
import {
  BlobIdSchema,
  BundleIdSchema,
  BytesSchema,
  CountSchema,
  createCodec,
  DigestSchema,
  ListSchema,
  TextSchema,
  UuidSchema,
} from '../wire/index.ts'
import { FaultSchema } from './facts.ts'

const ImageBlobSchema = Type.Object({
  digest: DigestSchema,
  sizeBytes: CountSchema(),
  mediaType: TextSchema(255),
})
export type ImageBlob = Static<typeof ImageBlobSchema>

/** An image that a cache resolved to one manifest of one platform. */
export const ResolvedManifestSchema = Type.Object({
  /** `host/path`: where its blobs are read. */
  repository: TextSchema(512),
  manifest: BytesSchema(2, 262_144),
  manifestDigest: DigestSchema,
  mediaType: TextSchema(255),
  /** Config first, then layers from the bottom, without repeats. */
  blobs: ListSchema(ImageBlobSchema, 128),
  /** No credentials were used: anyone may pull it. */
  isPublic: Type.Boolean(),
})
export type ResolvedManifest = Static<typeof ResolvedManifestSchema>

/** To a cache: what is this reference, for linux/amd64? */
export const ResolveSchema = Type.Object({
  type: Type.Literal('resolve'),
  id: UuidSchema,
  reference: TextSchema(2_048),
  /** {@link CredentialsSchema}, for one of the cache's one-time keys. */
  credentials: Type.Optional(SealedSchema),
})
/** To a cache: read these blobs once, encrypt, chunk, seed. Idempotent. */
export const IngestSchema = Type.Object({
  type: Type.Literal('ingest'),
  id: UuidSchema,
  /** {@link IngestSecretsSchema}, for one of the cache's one-time keys. */
  sealed: SealedSchema,
})
/** To a cache or a node: this bundle's group is gone. */
export const DropBundleSchema = Type.Object({
  type: Type.Literal('drop-bundle'),
  bundle: BundleIdSchema,
})

/** A cache's answers, by the request's id. */
export const ResolvedSchema = Type.Object({
  type: Type.Literal('resolved'),
  id: UuidSchema,
  image: Type.Optional(ResolvedManifestSchema),
  fault: Type.Optional(FaultSchema),
})
export const IngestProgressSchema = Type.Object({
  type: Type.Literal('ingest-progress'),
  id: UuidSchema,
  bytesDone: CountSchema(),
  bytesTotal: CountSchema(),
})
export const IngestedSchema = Type.Object({
  type: Type.Literal('ingested'),
  id: UuidSchema,
  bundle: Type.Optional(BundleIdSchema),
  /** In the order of the request. */
  blobIds: Type.Optional(ListSchema(BlobIdSchema, 128)),
  /** Bytes read from the registry for this request. */
  registryBytes: Type.Optional(CountSchema()),
  fault: Type.Optional(FaultSchema),
  /** The blob whose digest turned out wrong: its key must be dropped. */
  wrongBlob: Type.Optional(DigestSchema),
})

export const CredentialsSchema = Type.Object({
  username: TextSchema(1_000),
  password: TextSchema(10_000),
})
export type RegistryCredentials = Static<typeof CredentialsSchema>

export const IngestSecretsSchema = Type.Object({
  repository: TextSchema(512),
  credentials: Type.Optional(CredentialsSchema),
  /** The descriptor's order: config, then layers from the bottom. */
  blobs: ListSchema(Type.Object({ ...ImageBlobSchema.properties, key: BytesSchema(32, 32) }), 128),
})
export type IngestSecrets = Static<typeof IngestSecretsSchema>

export const credentialsCodec = createCodec('registry credentials', CredentialsSchema, {
  maxBytes: 65_536,
})
export const ingestSecretsCodec = createCodec('ingest secrets', IngestSecretsSchema, {
  maxBytes: 262_144,
})
