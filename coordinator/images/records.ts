/** What is persisted of images: bundles that caches made, and which image each group runs. */
import Type, { type Static } from 'typebox'
import { ResolvedManifestSchema } from '../../protocol/control/index.ts'
import {
  BlobIdSchema,
  BundleIdSchema,
  CountSchema,
  DigestSchema,
  GroupIdSchema,
  ListSchema,
  TextSchema,
} from '../../protocol/wire/index.ts'

/** Who may share a bundle and its keys: all (`network`) for public images, else one organization. */
export const networkScope = 'network'
const ScopeSchema = TextSchema(64)

export const BundleRecordSchema = Type.Object({
  bundle: BundleIdSchema,
  scope: ScopeSchema,
  /** Where its blobs were read. What manifest lists them is each group's own (`GroupImage`). */
  repository: TextSchema(512),
  /** Config first, then layers from the bottom; their keys lie in blob-keys.ts. */
  blobs: ListSchema(
    Type.Object({
      id: BlobIdSchema,
      digest: DigestSchema,
      sizeBytes: CountSchema(),
      mediaType: TextSchema(255),
    }),
    128,
  ),
})
export type BundleRecord = Readonly<Static<typeof BundleRecordSchema>>

export const GroupImageSchema = Type.Object({
  group: GroupIdSchema,
  /** The newest version of the group that this image serves. */
  version: CountSchema(),
  reference: TextSchema(2_048),
  scope: Type.Optional(ScopeSchema),
  /** Once resolved it does not follow its tag: all replicas of a version run one image. */
  resolved: Type.Optional(ResolvedManifestSchema),
  /** Once a cache has it whole. */
  bundle: Type.Optional(BundleIdSchema),
})
export type GroupImage = Readonly<Static<typeof GroupImageSchema>>
