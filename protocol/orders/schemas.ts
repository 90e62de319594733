/**
 * Everything that the coordinator (or, for certificates, the root key; for key sets, the node)
 * signs. These shapes are the protocol: a receiver verifies the signature over the exact bytes,
 * then parses them with these schemas, then asks whether they apply (judge.ts).
 * Times are milliseconds of the coordinator's time. Source: leases.md and bundle.md of the design.
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
  EpochSchema,
  InstanceIdSchema,
  ListSchema,
  MultiaddrSchema,
  NetworkIdSchema,
  NonceSchema,
  PeerIdSchema,
  SignedSchema,
  SlotIdSchema,
  TermSchema,
  TextSchema,
  TimeMsSchema,
  UuidSchema,
} from '../wire/index.ts'

const version = Type.Literal(1)

/** Where a peer may be dialled. */
export const PeerHintSchema = Type.Object({
  peer: PeerIdSchema,
  addrs: ListSchema(MultiaddrSchema, 16),
})
export type PeerHint = Static<typeof PeerHintSchema>

/** The root key's word that this online key and peer are the coordinator of `term`. */
export const TermCertificateSchema = Type.Object({
  v: version,
  network: NetworkIdSchema,
  term: TermSchema,
  coordinator: PeerIdSchema,
  /** The coordinator's online Ed25519 key: it signs orders of this term. */
  orderKey: BytesSchema(32, 32),
  issuedMs: TimeMsSchema,
})
export type TermCertificate = Static<typeof TermCertificateSchema>

/** Leave to fetch one bundle's chunks, shown to every holder. */
export const TicketSchema = Type.Object({
  v: version,
  network: NetworkIdSchema,
  term: TermSchema,
  peer: PeerIdSchema,
  bundle: BundleIdSchema,
  issuedMs: TimeMsSchema,
  expiresMs: TimeMsSchema,
})
export type Ticket = Static<typeof TicketSchema>

export const RestartPolicySchema = Type.Union([
  Type.Literal('always'),
  Type.Literal('on_failure'),
  Type.Literal('never'),
])
export type RestartPolicy = Static<typeof RestartPolicySchema>

export const ResourcesSchema = Type.Object({
  /** Thousandths of a core. */
  milliCpus: CountSchema(1_024_000, 1),
  memoryBytes: CountSchema(),
  /** Writable layer and volumes. */
  storageBytes: CountSchema(),
  shmBytes: CountSchema(),
  /** Exactly the GPUs allocated; empty for none. */
  gpuUuids: ListSchema(Type.String({ pattern: '^GPU-[0-9a-fA-F-]{8,64}$' }), 16),
})
export type Resources = Static<typeof ResourcesSchema>

/** The coordinator's order: this slot, this epoch, this node, until then. */
export const AllocationSchema = Type.Object({
  v: version,
  network: NetworkIdSchema,
  term: TermSchema,
  slot: SlotIdSchema,
  epoch: EpochSchema,
  node: PeerIdSchema,
  instance: InstanceIdSchema,
  nonce: NonceSchema,
  issuedMs: TimeMsSchema,
  notBeforeMs: TimeMsSchema,
  /** The last moment to take the order; afterwards only the lease counts. */
  acceptUntilMs: TimeMsSchema,
  /** The first lease's end: it runs from the signing, also while the image downloads. */
  leaseEndMs: TimeMsSchema,
  lostAfterMs: CountSchema(),
  orphanAfterMs: CountSchema(),
  strict: Type.Boolean(),
  bundle: BundleIdSchema,
  ticket: SignedSchema,
  hints: ListSchema(PeerHintSchema, 32),
  resources: ResourcesSchema,
  restart: RestartPolicySchema,
  /** The container that the instance has is stopped and started again, once: when this is taken. */
  restartNow: Type.Optional(Type.Boolean()),
  /** An {@link AllocationSecretsSchema}, for the node's one-time key. */
  sealed: SealedSchema,
})
export type Allocation = Static<typeof AllocationSchema>

/** What only the node may read: names, environment, the image's plaintext digests and keys. */
export const AllocationSecretsSchema = Type.Object({
  v: version,
  /** The image's manifest, byte for byte, and its media type: what Docker pulls by digest. */
  manifest: BytesSchema(2, 262_144),
  manifestDigest: DigestSchema,
  mediaType: TextSchema(255),
  /** In the descriptor's order: config, then layers from the bottom. */
  blobs: ListSchema(
    Type.Object({
      id: BlobIdSchema,
      digest: DigestSchema,
      sizeBytes: CountSchema(),
      mediaType: TextSchema(255),
      key: BytesSchema(32, 32),
    }),
    128,
  ),
  env: Type.Record(Type.String({ maxLength: 1_024 }), TextSchema(65_536)),
  /** Replaces the image's command when not empty. */
  command: ListSchema(TextSchema(1_000), 100),
  organization: TextSchema(255),
  organizationId: UuidSchema,
  project: TextSchema(255),
  projectId: UuidSchema,
  group: TextSchema(255),
  groupId: UuidSchema,
})
export type AllocationSecrets = Static<typeof AllocationSecretsSchema>

/** The reason of a revocation after which an order for the same group's next version follows. */
export const newerVersionReason = 'a newer version'
/** Of a group that had to make room. */
export const preemptedReason = 'preempted by a group of higher priority'

/** The order to end an epoch of a slot now. */
export const RevocationSchema = Type.Object({
  v: version,
  network: NetworkIdSchema,
  term: TermSchema,
  slot: SlotIdSchema,
  epoch: EpochSchema,
  node: PeerIdSchema,
  nonce: NonceSchema,
  issuedMs: TimeMsSchema,
  /** Time between SIGTERM and SIGKILL. */
  graceMs: CountSchema(300_000),
  reason: TextSchema(256),
})
export type Revocation = Static<typeof RevocationSchema>

/** Who is a cache, a relay, a gateway. Numbered: an older one is refused. */
export const RosterSchema = Type.Object({
  v: version,
  network: NetworkIdSchema,
  term: TermSchema,
  number: CountSchema(),
  issuedMs: TimeMsSchema,
  members: ListSchema(
    Type.Object({
      peer: PeerIdSchema,
      role: Type.Union([Type.Literal('cache'), Type.Literal('relay'), Type.Literal('gateway')]),
      addrs: ListSchema(MultiaddrSchema, 16),
    }),
    1_000,
  ),
})
export type Roster = Static<typeof RosterSchema>

/** As many as a list of the longest reasons has room for within its bytes. */
export const bansMax = 10_000

/** A refused peer. The evidence stays with the coordinator: a list must hold thousands of these. */
export const BanSchema = Type.Object({
  peer: PeerIdSchema,
  /** A short code, as `lease-violation`. A pattern, so that older peers take codes that are new. */
  reason: Type.String({ pattern: '^[a-z][a-z-]{0,15}$', maxLength: 16 }),
  sinceMs: TimeMsSchema,
})
export type Ban = Static<typeof BanSchema>

/** Refused peers, by peer id. Numbered and chained by the hash of the list before it. */
export const BanListSchema = Type.Object({
  v: version,
  network: NetworkIdSchema,
  term: TermSchema,
  number: CountSchema(),
  /** SHA-256 of the payload of list `number - 1`; zeroes for the first. */
  previous: BytesSchema(32, 32),
  issuedMs: TimeMsSchema,
  bans: ListSchema(BanSchema, bansMax),
})
export type BanList = Static<typeof BanListSchema>

/**
 * The coordinator's word that it lives: made each few seconds, carried in answers to beats and handed
 * from peer to peer. To a node without a lease it says whether others may have its slot by now.
 */
export const PulseSchema = Type.Object({
  v: version,
  network: NetworkIdSchema,
  term: TermSchema,
  /** Only rises within a term, over restarts too. */
  number: CountSchema(),
  timeMs: TimeMsSchema,
  /** False during the reconnect window after a start: nothing silent is replaced yet. */
  settled: Type.Boolean(),
  /** The brake is on: nothing silent is replaced. */
  holding: Type.Boolean(),
})
export type Pulse = Static<typeof PulseSchema>

/** A peer's fresh one-time X25519 keys, signed by its identity. */
export const NodeKeysSchema = Type.Object({
  v: version,
  network: NetworkIdSchema,
  peer: PeerIdSchema,
  /** True: these replace all offered before (sent at each connect); false: they add. */
  replaces: Type.Boolean(),
  keys: ListSchema(BytesSchema(32, 32), 64),
})
export type NodeKeys = Static<typeof NodeKeysSchema>

const maxBytes = 1 << 20
export const termCertificateCodec = createCodec('term certificate', TermCertificateSchema, {
  maxBytes: 1_024,
})
export const ticketCodec = createCodec('ticket', TicketSchema, { maxBytes: 1_024 })
export const allocationCodec = createCodec('allocation', AllocationSchema, { maxBytes })
export const allocationSecretsCodec = createCodec('allocation secrets', AllocationSecretsSchema, {
  maxBytes: 590_000,
})
export const revocationCodec = createCodec('revocation', RevocationSchema, { maxBytes: 2_048 })
export const rosterCodec = createCodec('roster', RosterSchema, { maxBytes })
export const banListCodec = createCodec('ban list', BanListSchema, { maxBytes })
export const pulseCodec = createCodec('pulse', PulseSchema, { maxBytes: 512 })
export const nodeKeysCodec = createCodec('node keys', NodeKeysSchema, { maxBytes: 4_096 })
