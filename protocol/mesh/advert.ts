/**
 * What a node says of itself on its region's capacity topic. An advert is a hint for schedulers
 * and portals: gossip signs who said it, nothing proves that it is true.
 */
import Type, { type Static } from 'typebox'
import type { BundleId } from '../ids.ts'
import {
  BundleIdSchema,
  BytesSchema,
  CountSchema,
  createCodec,
  ListSchema,
  PeerIdSchema,
  TextSchema,
} from '../wire/index.ts'
import { RegionSchema } from './topics.ts'

/** An advert names the most recently used bundles; the DHT knows the rest. */
export const advertBundlesMax = 256

const name = TextSchema(128)
/** A share of a whole: 0 idle, 1 full. */
const ShareSchema = Type.Number({ minimum: 0, maximum: 1 })

export const GpuSchema = Type.Object({
  /** The class that tenants ask for, such as `rtx4090` or `h100`. */
  class: TextSchema(64),
  /** As the driver names it: `NVIDIA H100 80GB HBM3`. */
  name,
  /** `GPU-…`, as nvidia-smi prints it: what an allocation names. */
  uuid: TextSchema(64),
  vramBytes: CountSchema(),
  driver: TextSchema(64),
})

const ReachabilitySchema = Type.Union([
  Type.Literal('public'),
  Type.Literal('nat'),
  Type.Literal('unknown'),
])

const facts = {
  peer: PeerIdSchema,
  /** Rises with every advert of a peer, over restarts too; an older one is ignored. */
  seq: CountSchema(),
  cpu: Type.Object({ cores: CountSchema(4096), model: name }),
  memoryBytes: CountSchema(),
  diskBytes: CountSchema(),
  gpus: ListSchema(GpuSchema, 32),
  region: RegionSchema,
  /** Absent where the part is not installed. `runc` and `toolkit` decide who gets untrusted work. */
  versions: Type.Object({
    potluck: TextSchema(64),
    engine: Type.Optional(TextSchema(64)),
    containerd: Type.Optional(TextSchema(64)),
    runc: Type.Optional(TextSchema(64)),
    toolkit: Type.Optional(TextSchema(64)),
    kernel: Type.Optional(TextSchema(128)),
  }),
  load: Type.Object({ cpu: ShareSchema, memory: ShareSchema, instances: CountSchema(10_000) }),
  /** Whether it can be dialled, as it was told; absent: not known. */
  reach: Type.Optional(Type.Object({ ipv4: ReachabilitySchema, ipv6: ReachabilitySchema })),
  /** As a link test found it, never above what the chef allows; absent: not measured yet. */
  link: Type.Optional(Type.Object({ upBitsPerS: CountSchema(), downBitsPerS: CountSchema() })),
  /** How the engine can bound what a container writes. */
  quota: Type.Union([Type.Literal('exact'), Type.Literal('watched'), Type.Literal('none')]),
}

/** A node's capacity. Bytes are plain bytes; loads are shares of 1. */
export const CapacityAdvertSchema = Type.Object({
  ...facts,
  bundles: ListSchema(BundleIdSchema, advertBundlesMax),
})
export type CapacityAdvert = Static<typeof CapacityAdvertSchema>

/** On the wire a bundle's name is its 32 bytes: hex would double an advert. */
const codec = createCodec(
  'capacity advert',
  Type.Object({ ...facts, bundles: ListSchema(BytesSchema(32, 32), advertBundlesMax) }),
  { maxBytes: 32 * 1024 },
)

/** An advert as it travels. @throws {MessageTooLargeError} above 32 KiB. */
export function encodeAdvert(advert: CapacityAdvert): Uint8Array {
  return codec.encode({
    ...advert,
    bundles: advert.bundles.map((bundle) => Uint8Array.from(Buffer.from(bundle, 'hex'))),
  })
}

/** An advert from what travelled. @throws {MalformedMessageError} @throws {MessageTooLargeError} */
export function decodeAdvert(bytes: Uint8Array): CapacityAdvert {
  const { bundles, ...rest } = codec.decode(bytes)
  return {
    ...rest,
    bundles: bundles.map((bundle) => Buffer.from(bundle).toString('hex') as BundleId),
  }
}
