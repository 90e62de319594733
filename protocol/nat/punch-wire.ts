/**
 * What is said to punch a hole. A asks a rendezvous R, to which both are connected, for B; R calls
 * B; both then connect to R anew, from a port that nobody listens on, and R tells each the address
 * that it sees the other come from. Both dial at once from that port (swarm.md 3.3).
 *
 *     A ── ask B ──► R ── call, from A ──► B
 *     A ◄─ wait ──── R ◄─ willing ──────── B
 *     A ══ here ═══► R ◄═════════════ here B     from the punch ports
 *     A ◄══ go ═════ R ══════════════ go ► B     the other's address
 */
import Type, { type Static } from 'typebox'
import {
  createCodec,
  ListSchema,
  MultiaddrSchema,
  NonceSchema,
  PeerIdSchema,
} from '../wire/index.ts'

/** Opened by A, and by both from their punch ports. */
export const punchProtocol = '/potluck/punch/1'
/** Opened by R. */
export const punchCallProtocol = '/potluck/punch-call/1'
export const punchLimits = { maxFrameBytes: 1_024, maxBufferedBytes: 4_096 } as const

const FamilySchema = Type.Union([Type.Literal(4), Type.Literal(6)])

export const PunchAskSchema = Type.Union([
  /** Introduce me to `peer`; I can come by these families, the best first. */
  Type.Object({
    t: Type.Literal('ask'),
    peer: PeerIdSchema,
    families: ListSchema(FamilySchema, 2),
  }),
  /** Here I am: this connection comes from my punch port. */
  Type.Object({ t: Type.Literal('here'), token: NonceSchema }),
])
export type PunchAsk = Static<typeof PunchAskSchema>

export const PunchAnswerSchema = Type.Union([
  /** Come by `family` and show `token`. */
  Type.Object({ t: Type.Literal('wait'), token: NonceSchema, family: FamilySchema }),
  /** Dial this now. `first` speaks first on the connection. */
  Type.Object({ t: Type.Literal('go'), address: MultiaddrSchema, first: Type.Boolean() }),
  Type.Object({
    t: Type.Literal('refused'),
    reason: Type.Union([
      Type.Literal('NOT_HERE'),
      Type.Literal('UNDERWAY'),
      Type.Literal('TOO_SOON'),
      Type.Literal('BUSY'),
      Type.Literal('UNWILLING'),
      Type.Literal('NO_COMMON_FAMILY'),
    ]),
  }),
])
export type PunchAnswer = Static<typeof PunchAnswerSchema>

/** `from` wants to meet; it can come by these families. */
export const PunchCallSchema = Type.Object({
  from: PeerIdSchema,
  token: NonceSchema,
  families: ListSchema(FamilySchema, 2),
})
export type PunchCall = Static<typeof PunchCallSchema>

/** The family that the called one comes by, or why not. */
export const PunchWillingSchema = Type.Object({
  family: Type.Optional(FamilySchema),
  reason: Type.Optional(Type.Union([Type.Literal('UNWILLING'), Type.Literal('NO_COMMON_FAMILY')])),
})
export type PunchWilling = Static<typeof PunchWillingSchema>

const maxBytes = punchLimits.maxFrameBytes
export const punchAskCodec = createCodec('punch request', PunchAskSchema, { maxBytes })
export const punchAnswerCodec = createCodec('punch answer', PunchAnswerSchema, { maxBytes })
export const punchCallCodec = createCodec('punch call', PunchCallSchema, { maxBytes })
export const punchWillingCodec = createCodec('answer to a punch call', PunchWillingSchema, {
  maxBytes,
})
