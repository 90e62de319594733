/**
 * The messages of `/potluck/chunks/1`. A frame is a length, a CBOR header and, behind some headers,
 * raw bytes (the body). The one who dials asks, the other answers; who wants both opens a stream
 * each way.
 *
 * | asks | answered by |
 * | --- | --- |
 * | `join`: may I have this bundle? here is my ticket | `joined`, or `refused`; silence while the holder itself waits for the descriptor |
 * | `descriptor` from an offset | `descriptor` + body, up to {@link descriptorPieceBytes} |
 * | `request` a run of chunks | `chunk` + body, one or some adjacent ones in each, in any order, or `refused` for the rest |
 * | `cancel` a request | `refused` for what was still waiting, if any; chunks that were under way come |
 * | `leave` a bundle | nothing |
 * | `have`: what I hold by now | nothing; it tells a holder that asks nothing of us whom to serve first |
 *
 * `have` comes unasked from the holder too, batched, for a joined bundle; most news rides on a
 * `request` or a `chunk` that goes to the same peer anyway. A holder may tell less
 * than it holds (that is how a seed hands each chunk to one home first), never more. `peers` comes
 * unasked as well: others that showed a ticket for the bundle. Chunks are numbered over the whole
 * bundle. Source of the shapes: BitTorrent's BEP 3, 6 and 11, with runs and attributed refusals.
 */
import Type, { type Static } from 'typebox'
import type { Run } from '../bundle/index.ts'
import { chunkNameBytes, maxDescriptorBytes, maxTravelBytes } from '../bundle/index.ts'
import {
  BundleIdSchema,
  BytesSchema,
  CountSchema,
  createCodec,
  ListSchema,
  MultiaddrSchema,
  PeerIdSchema,
  SignedSchema,
} from '../wire/index.ts'

export const chunksProtocol = '/potluck/chunks/1'
/** The same messages over the stream's lane (protocol/lanes), where the connection has lanes. */
export const chunksLaneProtocol = '/potluck/chunks-lane/1'

/** The most that a descriptor can name. */
export const chunksMax = maxDescriptorBytes / chunkNameBytes
/** A request asks for at most so many chunks; more is several requests. */
export const requestChunksMax = 64
/** The longest body of several chunks; one alone may be longer. */
export const chunksBodyBytesMax = 512 * 1024
export const descriptorPieceBytes = 256 * 1024
/** Runs in one `have`; what is left follows in the next. */
export const haveRunsMax = 512
/** Runs that ride on another message; more go by themselves. */
export const ridingRunsMax = 64
/** A have-map that is longer is told by `have`s after the join: asks are small for all. */
export const joinHeldBytesMax = 4096
/** In one `peers`, and of each of them. */
export const exchangedPeersMax = 32
export const exchangedAddressesMax = 8

const askBytesMax = 8 * 1024
/** A have-map of as many chunks, and its frame. */
const answerBytesMax = chunksMax / 8 + 8 * 1024

/** The longest frames, and what may lie unread: more means that the peer ignores its credits. */
export const askFrameBytes = askBytesMax
export const askBufferedBytes = 64 * 1024
export const answerFrameBytes = answerBytesMax + maxTravelBytes
export const answerBufferedBytes = 4 * 1024 * 1024

const RequestIdSchema = CountSchema(2 ** 31)
const NumberSchema = CountSchema(chunksMax - 1)
/** The requester's name for a bundle on this stream: a `have` is sent often, an id has 64 letters. */
const JoinNumberSchema = CountSchema(2 ** 31, 1)
/** Pairs: chunks passed over since the last run's end, chunks in this run. */
const RunsSchema = Type.Array(CountSchema(chunksMax), { minItems: 2, maxItems: 2 * haveRunsMax })
/** What the sender says of its link, bytes a second: who is served first starts from it. */
const linkRates = {
  uploadBytesPerS: Type.Optional(CountSchema()),
  downloadBytesPerS: Type.Optional(CountSchema()),
}

/**
 * `NO_TICKET`: none, or not a valid one. `WRONG_PEER`, `WRONG_BUNDLE`: a valid one for another.
 * `EXPIRED`: join again with a newer one. `UNKNOWN_BUNDLE`: nothing of it is here (yet).
 * `NOT_HELD`: that chunk is not here. `CANCELLED`: as you asked. `BUSY`: not now.
 */
export const refusalCodes = [
  'NO_TICKET',
  'EXPIRED',
  'WRONG_PEER',
  'WRONG_BUNDLE',
  'UNKNOWN_BUNDLE',
  'NOT_HELD',
  'CANCELLED',
  'BUSY',
] as const
export type RefusalCode = (typeof refusalCodes)[number]

export const AskSchema = Type.Union([
  Type.Object({
    t: Type.Literal('join'),
    bundle: BundleIdSchema,
    number: JoinNumberSchema,
    ticket: SignedSchema,
    /** A bit a chunk, as `Bitfield.toBytes()`; absent while the descriptor is not known. */
    held: Type.Optional(BytesSchema(0, joinHeldBytesMax)),
    ...linkRates,
  }),
  Type.Object({
    t: Type.Literal('request'),
    bundle: BundleIdSchema,
    id: RequestIdSchema,
    first: NumberSchema,
    count: CountSchema(requestChunksMax, 1),
    /** What I hold by now as well, as in a `have`: it saves that message. */
    runs: Type.Optional(RunsSchema),
    /** Chunks that have come on this stream by now, and how long ago the newest did. */
    got: Type.Optional(CountSchema()),
    gotMs: Type.Optional(CountSchema()),
  }),
  Type.Object({ t: Type.Literal('cancel'), id: RequestIdSchema }),
  Type.Object({ t: Type.Literal('leave'), bundle: BundleIdSchema }),
  Type.Object({ t: Type.Literal('have'), number: JoinNumberSchema, runs: RunsSchema }),
  Type.Object({
    t: Type.Literal('descriptor'),
    bundle: BundleIdSchema,
    offset: CountSchema(2 ** 31),
  }),
])
export type Ask = Static<typeof AskSchema>

export const AnswerSchema = Type.Union([
  Type.Object({
    t: Type.Literal('joined'),
    bundle: BundleIdSchema,
    descriptorBytes: CountSchema(2 ** 31),
    /** A bit a chunk, as `Bitfield.toBytes()`; all or part of what is held. */
    held: BytesSchema(0, chunksMax / 8),
    ...linkRates,
  }),
  Type.Object({
    t: Type.Literal('descriptor'),
    bundle: BundleIdSchema,
    offset: CountSchema(2 ** 31),
  }),
  Type.Object({ t: Type.Literal('have'), number: JoinNumberSchema, runs: RunsSchema }),
  Type.Object({
    t: Type.Literal('peers'),
    bundle: BundleIdSchema,
    peers: ListSchema(
      Type.Object({
        peer: PeerIdSchema,
        addresses: ListSchema(MultiaddrSchema, exchangedAddressesMax),
      }),
      exchangedPeersMax,
    ),
  }),
  Type.Object({
    t: Type.Literal('chunk'),
    id: RequestIdSchema,
    number: NumberSchema,
    /** Adjacent ones from `number` on, one behind the other in the body; absent: one. */
    count: Type.Optional(CountSchema(requestChunksMax, 1)),
    /** What I hold by now as well, as in a `have` for the same bundle. */
    runs: Type.Optional(RunsSchema),
  }),
  Type.Object({
    t: Type.Literal('refused'),
    bundle: BundleIdSchema,
    code: Type.Enum([...refusalCodes]),
    /** The request that ends here; absent: the join. */
    id: Type.Optional(RequestIdSchema),
    /** The chunk that is not held. */
    number: Type.Optional(NumberSchema),
  }),
])
export type Answer = Static<typeof AnswerSchema>

export const askCodec = createCodec('chunk request', AskSchema, { maxBytes: askBytesMax })
export const answerCodec = createCodec('chunk answer', AnswerSchema, { maxBytes: answerBytesMax })

/** What a peer says of its link, in bytes a second; absent: not known. */
export type LinkRates = Readonly<{ uploadBytesPerS?: number; downloadBytesPerS?: number }>

/** The rates in a message, without the rest of it. */
export function linkRatesOf({ uploadBytesPerS, downloadBytesPerS }: LinkRates): LinkRates {
  return {
    ...(uploadBytesPerS === undefined ? {} : { uploadBytesPerS }),
    ...(downloadBytesPerS === undefined ? {} : { downloadBytesPerS }),
  }
}

/** Chunk numbers as delta-coded runs, split into messages of at most {@link haveRunsMax} runs. */
export function encodeRuns(numbers: Iterable<number>): number[][] {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b)
  const messages: number[][] = []
  let runs: number[] = []
  let end = 0
  for (let at = 0; at < sorted.length; ) {
    const start = sorted[at] ?? 0
    let count = 1
    while (sorted[at + count] === start + count) count++
    if (runs.length === 2 * haveRunsMax) {
      messages.push(runs)
      runs = []
      end = 0
    }
    runs.push(start - end, count)
    end = start + count
    at += count
  }
  if (runs.length > 0) messages.push(runs)
  return messages
}

/** The runs of a `have`. Undefined when they are not within `chunkCount`, or not in pairs. */
export function decodeRuns(runs: readonly number[], chunkCount: number): Run[] | undefined {
  const decoded: Run[] = []
  let end = 0
  for (let at = 0; at < runs.length; at += 2) {
    const start = end + (runs[at] ?? 0)
    const count = runs[at + 1] ?? 0
    if (count < 1 || start + count > chunkCount) return undefined
    decoded.push({ start, count })
    end = start + count
  }
  return decoded
}
