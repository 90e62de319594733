/**
 * The messages of `/potluck/link-test/1`, between a node and a cache. The node asks, round by round;
 * a round is some bytes one way, four times as many as the last until one takes long enough to tell.
 *
 * | the node | the cache |
 * | --- | --- |
 * | `ask`: may I? here is my proof | `go`, or `refused` and the end |
 * | `send` so many bytes to me | `data` + body, until they are sent |
 * | `got` them: here are the last ones | |
 * | `take` so many bytes of mine, then `data` + body | `took`: how fast they came |
 * | `done` | `result`: both directions as the cache saw them |
 *
 * The proof shows that the coordinator has greeted the node (only who was greeted knows the
 * secret), for this pair alone: the channel says who both are.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import Type, { type Static } from 'typebox'
import type { PeerId } from '../ids.ts'
import { BytesSchema, CountSchema, createCodec } from '../wire/index.ts'

export const linkTestProtocol = '/potluck/link-test/1'

/** The most of one round, and of all rounds of a direction together. */
export const roundBytesMax = 4 << 20
export const testBytesMax = 8 << 20
/** The end of a round downwards. */
export const tokenBytes = 16
/** A body; small enough to tell arrivals apart on a slow line. */
export const pieceBytes = 16 * 1024
/** What a test may take in all: three rounds each way on a line of 256 kbit/s. */
export const testMs = 15_000
/** Beyond it a line is as good as any; also what a few milliseconds can tell at most. */
export const bitsPerSMax = 10_000_000_000

const RateSchema = CountSchema(bitsPerSMax)
/** Whole pieces, so that the last one has room for its token. */
const RoundSchema = Type.Integer({
  minimum: pieceBytes,
  maximum: roundBytesMax,
  multipleOf: pieceBytes,
})

/** `STRANGER`: no proof, or not a valid one. `BUSY`: others are tested, or chunks are served. */
export const testRefusals = ['STRANGER', 'BUSY', 'TOO_SOON'] as const
export type TestRefusal = (typeof testRefusals)[number]

export const TestAskSchema = Type.Union([
  Type.Object({ t: Type.Literal('ask'), proof: BytesSchema(32, 32) }),
  Type.Object({ t: Type.Literal('send'), bytes: RoundSchema }),
  /** What it cannot know before all has come: a node cannot be faster than its line. */
  Type.Object({ t: Type.Literal('got'), token: BytesSchema(tokenBytes, tokenBytes) }),
  Type.Object({ t: Type.Literal('take'), bytes: RoundSchema }),
  Type.Object({ t: Type.Literal('data') }),
  Type.Object({ t: Type.Literal('done') }),
])
export type TestAsk = Static<typeof TestAskSchema>

export const TestAnswerSchema = Type.Union([
  Type.Object({ t: Type.Literal('go') }),
  Type.Object({ t: Type.Literal('refused'), code: Type.Enum([...testRefusals]) }),
  Type.Object({ t: Type.Literal('data') }),
  Type.Object({ t: Type.Literal('took'), bitsPerS: RateSchema, ms: CountSchema(testMs) }),
  Type.Object({ t: Type.Literal('result'), upBitsPerS: RateSchema, downBitsPerS: RateSchema }),
])
export type TestAnswer = Static<typeof TestAnswerSchema>

export const testAskCodec = createCodec('link test', TestAskSchema, { maxBytes: 256 })
export const testAnswerCodec = createCodec('answer of a link test', TestAnswerSchema, {
  maxBytes: 256,
})
/** A round may lie unread as a whole: the reader is timed, and must not be held up. */
export const testChannel = {
  maxFrameBytes: pieceBytes + 512,
  maxBufferedBytes: roundBytesMax + (1 << 20),
} as const

/** What `asker` shows `answerer`. @param secret of the network, as the coordinator's welcome has it */
export function proofOf(secret: Uint8Array, asker: PeerId, answerer: PeerId): Uint8Array {
  const hmac = createHmac('sha256', secret)
  return new Uint8Array(hmac.update(`potluck link test 1\0${asker}\0${answerer}`).digest())
}

/** Compares in constant time. */
export function isProof(proof: Uint8Array, expected: Uint8Array): boolean {
  return proof.length === expected.length && timingSafeEqual(proof, expected)
}
