/**
 * "What is the newest that you know of the coordinator?", from peer to peer. Asked only by a node
 * whose lease lapsed, so it costs nothing while all is well; answered from memory alone.
 */
import Type, { type Static } from 'typebox'
import { createCodec, SignedSchema } from '../wire/index.ts'

export const pulseProtocol = '/potluck/pulse/1'
export const pulseLimits = { maxFrameBytes: 1_024, maxBufferedBytes: 4_096 } as const

const PulseAskSchema = Type.Object({ v: Type.Literal(1) })

const PulseAnswerSchema = Type.Object({
  /** Absent: none is known. That somebody answers says something too. */
  pulse: Type.Optional(SignedSchema),
})
export type PulseAnswer = Static<typeof PulseAnswerSchema>

export const pulseAskCodec = createCodec('question for a pulse', PulseAskSchema, { maxBytes: 64 })
export const pulseAnswerCodec = createCodec('answer with a pulse', PulseAnswerSchema, {
  maxBytes: 1_024,
})
