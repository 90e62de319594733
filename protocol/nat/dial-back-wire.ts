/**
 * "Can I be dialled?", asked of those that all know: the coordinator and caches. The asker names
 * ports only; the address is the one that its connection comes from, so nobody can be made to dial
 * a third party. The verdict is signed, so that it can be shown to others.
 */
import Type, { type Static } from 'typebox'
import {
  CountSchema,
  createCodec,
  ListSchema,
  NonceSchema,
  PeerIdSchema,
  SignedSchema,
  TextSchema,
} from '../wire/index.ts'

export const dialBackProtocol = '/potluck/dial-back/1'
export const dialBackLimits = { maxFrameBytes: 2_048, maxBufferedBytes: 8_192 } as const

/** The listening port, and those that a router may forward to it. */
export const portsMax = 4

const PortSchema = CountSchema(65_535, 1)

export const DialBackAskSchema = Type.Object({
  ports: ListSchema(PortSchema, portsMax),
  /** Stands in the verdict: an older one cannot be passed off as the answer. */
  nonce: NonceSchema,
})
export type DialBackAsk = Static<typeof DialBackAskSchema>

/** What one peer found when it dialled another back from a fresh connection. */
export const VerdictSchema = Type.Object({
  v: Type.Literal(1),
  /** Who asked, and whose identity answered the dials. */
  peer: PeerIdSchema,
  /** Who dialled; the signature is by this identity. */
  by: PeerIdSchema,
  nonce: NonceSchema,
  /** The address that the asker's connection came from. */
  ip: TextSchema(45),
  /** Those of the asked ports at which the asker answered. */
  open: ListSchema(PortSchema, portsMax),
  /** The dialler's wall clock; for people. */
  atMs: CountSchema(),
})
export type Verdict = Static<typeof VerdictSchema>

export const DialBackAnswerSchema = Type.Object({
  verdict: Type.Optional(SignedSchema),
  refused: Type.Optional(
    Type.Union([
      /** Over the rate of this peer or line. */
      Type.Literal('TOO_SOON'),
      Type.Literal('BUSY'),
      /** The connection is relayed, or comes from an address that is not dialled here. */
      Type.Literal('ADDRESS'),
    ]),
  ),
})
export type DialBackAnswer = Static<typeof DialBackAnswerSchema>

export const dialBackAskCodec = createCodec('dial-back request', DialBackAskSchema, {
  maxBytes: 256,
})
export const verdictCodec = createCodec('reach verdict', VerdictSchema, { maxBytes: 512 })
export const dialBackAnswerCodec = createCodec('dial-back answer', DialBackAnswerSchema, {
  maxBytes: 1_024,
})
