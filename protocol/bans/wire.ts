/**
 * The messages of `/potluck/bans/1`: whoever knows of a newer ban list than the asker answers with
 * the whole of it, as it was signed. So a peer whose coordinator is away still learns of bans, and
 * from nobody it would have to trust.
 */
import Type, { type Static } from 'typebox'
import { CountSchema, createCodec, SignedSchema } from '../wire/index.ts'

export const bansProtocol = '/potluck/bans/1'

/** The number of the list that the asker holds; absent: it holds none. */
export const BansAskSchema = Type.Object({ have: Type.Optional(CountSchema()) })
export type BansAsk = Static<typeof BansAskSchema>

/** Absent: nothing newer is known here. */
export const BansAnswerSchema = Type.Object({ bans: Type.Optional(SignedSchema) })
export type BansAnswer = Static<typeof BansAnswerSchema>

const listBytesMax = (1 << 20) + 1_024
export const bansAskCodec = createCodec('question for bans', BansAskSchema, { maxBytes: 64 })
export const bansAnswerCodec = createCodec('answer with bans', BansAnswerSchema, {
  maxBytes: listBytesMax,
})
export const bansAskLimits = { maxFrameBytes: 64, maxBufferedBytes: 128 } as const
export const bansAnswerLimits = {
  maxFrameBytes: listBytesMax,
  maxBufferedBytes: listBytesMax + 1_024,
} as const
