/**
 * What peers and the coordinator tell of instances, machines and lines: the nouns of the messages.
 * A fact has one shape whoever tells it, so that a record can hold it as it came.
 */
import Type, { type Static } from 'typebox'
import {
  BundleIdSchema,
  CountSchema,
  EpochSchema,
  InstanceIdSchema,
  ListSchema,
  PeerIdSchema,
  SlotIdSchema,
  TermSchema,
  TextSchema,
} from '../wire/index.ts'

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
  /** What its chef takes; absent: everything. */
  accepts: Type.Optional(
    Type.Object({
      gpuJobs: Type.Boolean(),
      cpuJobs: Type.Boolean(),
      /** The least that an hour of a job must pay, in millionths of the network's currency. */
      minMicrosPerHour: CountSchema(),
    }),
  ),
  /** Absent: not measured yet. Never above what the chef allows. */
  link: Type.Optional(LinkSchema),
  /** Absent: not asked yet. */
  reach: Type.Optional(ReachSchema),
})
export type Capacity = Static<typeof CapacitySchema>
