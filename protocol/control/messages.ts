/**
 * What a node or a cache and the coordinator say to one another, on the one stream that the peer
 * opens and keeps (`/potluck/control/1`). The channel is authenticated by Noise, so heartbeats are
 * not signed; what must outlive the channel (orders, lists, tickets) is, and travels as bytes.
 *
 * Level-triggered: a beat carries all that the peer runs, so no step relies on an earlier message.
 */
import Type, { type Static } from 'typebox'
import { PeerHintSchema } from '../orders/index.ts'
import { SealedSchema } from '../sealing/index.ts'
import {
  BlobIdSchema,
  BundleIdSchema,
  BytesSchema,
  CountSchema,
  createCodec,
  DigestSchema,
  EpochSchema,
  InstanceIdSchema,
  ListSchema,
  MultiaddrSchema,
  PeerIdSchema,
  SignedSchema,
  SlotIdSchema,
  TermSchema,
  TextSchema,
  TimeMsSchema,
  UuidSchema,
} from '../wire/index.ts'

export const controlProtocol = '/potluck/control/1'

/** Both ways: the longest frame, and how many unread bytes end the stream. */
export const controlLimits = { maxFrameBytes: 2 << 20, maxBufferedBytes: 8 << 20 } as const

/** How often a peer beats, and how long a lease lives; leases.md. */
export const leaseNumbers = { beatMs: 5_000, leaseMs: 15_000 } as const

/** A stable code and a sentence for people; never a secret. */
export const FaultSchema = Type.Object({
  code: Type.String({ pattern: '^[A-Z][A-Z0-9_]{1,63}$' }),
  message: TextSchema(2_000),
})
export type Fault = Static<typeof FaultSchema>

/** From `accepted` on; `stopped` and `failed` are final for this instance on this node. */
export const InstanceStateSchema = Type.Union([
  Type.Literal('accepted'),
  Type.Literal('downloading'),
  Type.Literal('creating'),
  Type.Literal('running'),
  Type.Literal('restarting'),
  Type.Literal('stopping'),
  Type.Literal('stopped'),
  Type.Literal('failed'),
])
export type InstanceState = Static<typeof InstanceStateSchema>

/** One slot as its node sees it now. */
export const InstanceReportSchema = Type.Object({
  slot: SlotIdSchema,
  term: TermSchema,
  epoch: EpochSchema,
  instance: InstanceIdSchema,
  state: InstanceStateSchema,
  /** Why it is `failed`, `stopped` or `restarting`. */
  fault: Type.Optional(FaultSchema),
  exitCode: Type.Optional(Type.Integer()),
  restarts: CountSchema(),
  /** Travelling bytes of the image: all, here, and by where they came from. */
  bytesTotal: CountSchema(),
  bytesDone: CountSchema(),
  bytesFromCaches: CountSchema(),
  bytesFromPeers: CountSchema(),
  /** Plaintext bytes that the loopback endpoint served to the engine for this instance. */
  bytesServed: CountSchema(),
})
export type InstanceReport = Static<typeof InstanceReportSchema>

/** Evidence of a peer's misbehaviour in a swarm. */
export const MisbehaviourSchema = Type.Object({
  peer: PeerIdSchema,
  /** Absent where the peer named none before it misbehaved. */
  bundle: Type.Optional(BundleIdSchema),
  kind: Type.Union([
    Type.Literal('wrong-chunk'),
    Type.Literal('wrong-descriptor'),
    Type.Literal('false-have'),
    Type.Literal('malformed'),
    Type.Literal('flood'),
  ]),
  chunk: Type.Optional(CountSchema()),
  /** Hex SHA-256: what the descriptor names, and what was sent. */
  expectedName: Type.Optional(TextSchema(64)),
  gotName: Type.Optional(TextSchema(64)),
  detail: Type.Optional(TextSchema(512)),
})
export type Misbehaviour = Static<typeof MisbehaviourSchema>

const GpuSchema = Type.Object({
  uuid: TextSchema(80),
  name: TextSchema(200),
  vramBytes: CountSchema(),
  driver: TextSchema(64),
})
export type Gpu = Static<typeof GpuSchema>

/** A line as a link test found it, payload and packets' overhead together. */
export const LinkSchema = Type.Object({
  upBitsPerS: CountSchema(),
  downBitsPerS: CountSchema(),
  /** Wall clock of who measured, for display. */
  measuredMs: CountSchema(),
})
export type Link = Static<typeof LinkSchema>

const ReachabilitySchema = Type.Union([
  Type.Literal('public'),
  Type.Literal('nat'),
  Type.Literal('unknown'),
])
/** Whether a host can be dialled, as dial-backs found; what it says itself is a hint. */
export const ReachSchema = Type.Object({ ipv4: ReachabilitySchema, ipv6: ReachabilitySchema })
export type Reach = Static<typeof ReachSchema>

/** What a node can lend. Published by gossip too (protocol/mesh). */
export const CapacitySchema = Type.Object({
  milliCpus: CountSchema(),
  memoryBytes: CountSchema(),
  /** For instances' writable layers. */
  storageBytes: CountSchema(),
  gpus: ListSchema(GpuSchema, 16),
  region: Type.String({ pattern: '^[a-z0-9-]{1,32}$' }),
  versions: Type.Record(Type.String({ maxLength: 32 }), TextSchema(128)),
  /** How many allocations the chef allows at once. */
  allocationsMax: CountSchema(64),
  /** Whether the engine may be given env (bundle.md, Env). */
  envAllowed: Type.Boolean(),
  /** Absent: not measured yet. Never above what the chef allows. */
  link: Type.Optional(LinkSchema),
  /** Absent: not asked yet. */
  reach: Type.Optional(ReachSchema),
})
export type Capacity = Static<typeof CapacitySchema>

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

// ---- from the peer ----

export const HelloSchema = Type.Object({
  type: Type.Literal('hello'),
  role: Type.Union([Type.Literal('node'), Type.Literal('cache')]),
  version: TextSchema(64),
  /** The highest this peer knows; the coordinator shows its certificate if it has a higher one. */
  term: TermSchema,
  rosterNumber: CountSchema(),
  banNumber: CountSchema(),
  /** Listening addresses. */
  addrs: ListSchema(MultiaddrSchema, 16),
  /** The newest signed verdict of each address family on whether this peer can be dialled. */
  verdicts: Type.Optional(ListSchema(SignedSchema, 2)),
  /** A {@link NodeKeys} with `replaces`. */
  keys: SignedSchema,
  capacity: Type.Optional(CapacitySchema),
  /** Orders held (newest signed order of each slot) and how they stand. */
  held: ListSchema(Type.Object({ order: SignedSchema, report: InstanceReportSchema }), 64),
  /** Bundles held whole. */
  bundles: ListSchema(BundleIdSchema, 4_096),
  /** Bundles held in part, so that what no group refers to any more is not kept for ever. */
  partial: Type.Optional(ListSchema(BundleIdSchema, 4_096)),
})
export type Hello = Static<typeof HelloSchema>

export const BeatSchema = Type.Object({
  type: Type.Literal('beat'),
  seq: CountSchema(),
  /** Every slot that this node has an order for, also finished ones until they are revoked. */
  instances: ListSchema(InstanceReportSchema, 64),
  bundles: ListSchema(BundleIdSchema, 4_096),
  partial: Type.Optional(ListSchema(BundleIdSchema, 4_096)),
  capacity: Type.Optional(CapacitySchema),
  /** A refill of one-time keys. */
  keys: Type.Optional(SignedSchema),
  /** Only where they changed since they were told. */
  addrs: Type.Optional(ListSchema(MultiaddrSchema, 16)),
  verdicts: Type.Optional(ListSchema(SignedSchema, 2)),
  misbehaviour: ListSchema(MisbehaviourSchema, 64),
})
export type Beat = Static<typeof BeatSchema>

/** Sent at once when an instance changes state, between beats. */
const ReportSchema = Type.Object({ type: Type.Literal('report'), instance: InstanceReportSchema })

const OrderAnswerSchema = Type.Object({
  type: Type.Literal('order-answer'),
  slot: SlotIdSchema,
  term: TermSchema,
  epoch: EpochSchema,
  /** Absent: accepted. */
  refusal: Type.Optional(FaultSchema),
})
export type OrderAnswer = Static<typeof OrderAnswerSchema>

/** This peer leaves; its slots may be given away at once. */
const GoodbyeSchema = Type.Object({
  type: Type.Literal('goodbye'),
  reason: TextSchema(256),
  /** Only these slots (of a strict group: that have stopped); absent: all. */
  slots: Type.Optional(ListSchema(SlotIdSchema, 64)),
})

/** A cache's answers, by the request's id. */
const ResolvedSchema = Type.Object({
  type: Type.Literal('resolved'),
  id: UuidSchema,
  image: Type.Optional(ResolvedManifestSchema),
  fault: Type.Optional(FaultSchema),
})
const IngestProgressSchema = Type.Object({
  type: Type.Literal('ingest-progress'),
  id: UuidSchema,
  bytesDone: CountSchema(),
  bytesTotal: CountSchema(),
})
const IngestedSchema = Type.Object({
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

/** A cache's word on lines that it measured; the nodes' own is not enough to give work by. */
const LinkTestsSchema = Type.Object({
  type: Type.Literal('link-tests'),
  results: ListSchema(Type.Object({ peer: PeerIdSchema, link: LinkSchema }), 256),
})

export const UpMessageSchema = Type.Union([
  HelloSchema,
  BeatSchema,
  ReportSchema,
  OrderAnswerSchema,
  GoodbyeSchema,
  ResolvedSchema,
  IngestProgressSchema,
  IngestedSchema,
  LinkTestsSchema,
])
/** From a node or a cache to the coordinator. */
export type UpMessage = Static<typeof UpMessageSchema>

// ---- from the coordinator ----

export const WelcomeSchema = Type.Object({
  type: Type.Literal('welcome'),
  certificate: SignedSchema,
  roster: SignedSchema,
  bans: SignedSchema,
  /** The coordinator's time when it wrote this. */
  timeMs: TimeMsSchema,
  /** Keys the DHT's ids, so that an outsider cannot list who holds what. */
  dhtSecret: BytesSchema(32, 32),
  /** The address that the coordinator sees this peer at. */
  observedAddr: TextSchema(512),
})
export type Welcome = Static<typeof WelcomeSchema>

/** This lease now ends at `leaseEndMs` (coordinator's time). */
export const RenewalSchema = Type.Object({
  slot: SlotIdSchema,
  term: TermSchema,
  epoch: EpochSchema,
  leaseEndMs: TimeMsSchema,
  /** The next ticket, at half time of the one before. */
  ticket: Type.Optional(SignedSchema),
})
export type Renewal = Static<typeof RenewalSchema>

export const BeatAnswerSchema = Type.Object({
  type: Type.Literal('beat-answer'),
  seq: CountSchema(),
  timeMs: TimeMsSchema,
  /** What is not renewed runs out at its lease's end. */
  renewals: ListSchema(RenewalSchema, 64),
  /** How many one-time keys the next beat should bring. */
  keysWanted: CountSchema(64),
})
export type BeatAnswer = Static<typeof BeatAnswerSchema>

const OrderSchema = Type.Object({ type: Type.Literal('order'), order: SignedSchema })
const RevokeSchema = Type.Object({ type: Type.Literal('revoke'), revocation: SignedSchema })
/** Newer lists; either may be absent. */
const ListsSchema = Type.Object({
  type: Type.Literal('lists'),
  roster: Type.Optional(SignedSchema),
  bans: Type.Optional(SignedSchema),
})
/** More holders of a bundle that this peer fetches. */
const HoldersSchema = Type.Object({
  type: Type.Literal('holders'),
  bundle: BundleIdSchema,
  hints: ListSchema(PeerHintSchema, 32),
})
/** To a cache: what is this reference, for linux/amd64? */
const ResolveSchema = Type.Object({
  type: Type.Literal('resolve'),
  id: UuidSchema,
  reference: TextSchema(2_048),
  /** {@link CredentialsSchema}, for one of the cache's one-time keys. */
  credentials: Type.Optional(SealedSchema),
})
/** To a cache: read these blobs once, encrypt, chunk, seed. Idempotent. */
const IngestSchema = Type.Object({
  type: Type.Literal('ingest'),
  id: UuidSchema,
  /** {@link IngestSecretsSchema}, for one of the cache's one-time keys. */
  sealed: SealedSchema,
})
/** To a cache or a node: this bundle's group is gone. */
const DropBundleSchema = Type.Object({ type: Type.Literal('drop-bundle'), bundle: BundleIdSchema })
/** The last word before the coordinator closes the stream. */
const RefusedSchema = Type.Object({ type: Type.Literal('refused'), fault: FaultSchema })

export const DownMessageSchema = Type.Union([
  WelcomeSchema,
  BeatAnswerSchema,
  OrderSchema,
  RevokeSchema,
  ListsSchema,
  HoldersSchema,
  ResolveSchema,
  IngestSchema,
  DropBundleSchema,
  RefusedSchema,
])
/** From the coordinator to a node or a cache. */
export type DownMessage = Static<typeof DownMessageSchema>

// ---- sealed inside ----

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

const maxBytes = controlLimits.maxFrameBytes
export const upCodec = createCodec('message to the coordinator', UpMessageSchema, { maxBytes })
export const downCodec = createCodec('message of the coordinator', DownMessageSchema, { maxBytes })
export const credentialsCodec = createCodec('registry credentials', CredentialsSchema, {
  maxBytes: 65_536,
})
export const ingestSecretsCodec = createCodec('ingest secrets', IngestSecretsSchema, {
  maxBytes: 262_144,
})
