/**
 * Messages over a libp2p stream: length-prefixed frames of a codec. It owns the stream: any fault
 * in what arrives aborts this stream alone, with a typed error, and harms nothing else.
 *
 * Reading does not push back on the sender (libp2p streams buffer what comes, up to
 * `maxBufferedBytes`, then abort): a protocol bounds what is under way with credits of its own.
 */
import { encode as encodeVarint, encodingLength } from 'uint8-varint'
import { Uint8ArrayList } from 'uint8arraylist'
import type { ByteStream } from './byte-stream.ts'
import type { Codec } from './codec.ts'
import {
  ChannelClosedError,
  MalformedMessageError,
  MessageTooLargeError,
  UnreadOverflowError,
} from './errors.ts'
import { createFrameReader, FrameTooLongError, UnreadError } from './frame-reader.ts'
import { type Pace, sendPaced, sendWhole } from './pace.ts'

export type WaitOptions = Readonly<{ signal: AbortSignal }>

export type WriteOptions = WaitOptions &
  Readonly<{ body?: Uint8Array | undefined; pace?: Pace | undefined }>

export interface Channel<In, Out> {
  /** The next message and the raw bytes behind it in the same frame (often none), as they came. */
  read(options: WaitOptions): Promise<{ readonly message: In; readonly body: Uint8ArrayList }>
  /**
   * Resolves when the stream takes more (back-pressure); calls are sent in order. With `pace` the
   * frame goes in pieces; what is written meanwhile waits for its end.
   */
  write(message: Out, options: WriteOptions): Promise<void>
  /** Ends our side in good order; at most `signal` long. */
  close(options?: Partial<WaitOptions>): Promise<void>
  /** Ends both sides at once. Harmless when already ended. */
  abort(error: Error): void
}

export type ChannelInit<In, Out> = Readonly<{
  inbound: Codec<In>
  outbound: Codec<Out>
  /** The longest frame: a message with its body. */
  maxFrameBytes: number
  /** What may lie unread before the stream is aborted; at least `maxFrameBytes`. */
  maxBufferedBytes: number
}>

/** Most messages are shorter. */
const shortBytes = 1_024

/** Wraps `stream`. @throws nothing; faults surface in `read` and `write`. */
export function openChannel<In, Out>(
  stream: ByteStream,
  init: ChannelInit<In, Out>,
): Channel<In, Out> {
  const { inbound, outbound, maxFrameBytes } = init
  const frames = createFrameReader(stream, init)
  const kind = inbound.kind
  /** The last one that is not through. */
  let lastWrite: Promise<void> | undefined

  const fail = (error: Error): Error => {
    stream.abort(error)
    return error
  }
  return {
    async read({ signal }) {
      let frame: Uint8ArrayList
      try {
        frame = await frames.read(signal)
      } catch (cause) {
        signal.throwIfAborted()
        throw fail(frameError(kind, cause, maxFrameBytes))
      }
      try {
        return decodeFrame(inbound, frame)
      } catch (error) {
        throw fail(error instanceof Error ? error : new MalformedMessageError(kind, String(error)))
      }
    },
    write(message, { signal, body, pace }) {
      const frame = framed(outbound.encode(message), body)
      const send = async (): Promise<void> => {
        try {
          signal.throwIfAborted()
          await (pace ? sendPaced(stream, frame, pace, signal) : sendWhole(stream, frame, signal))
        } catch (cause) {
          // Half a frame was sent: nothing can follow it.
          if (pace && signal.aborted) fail(new ChannelClosedError(outbound.kind, { cause }))
          signal.throwIfAborted()
          throw fail(new ChannelClosedError(outbound.kind, { cause }))
        }
      }
      const written = lastWrite ? lastWrite.then(send) : send()
      const through = written
        .catch(() => undefined)
        .then(() => {
          if (lastWrite === through) lastWrite = undefined
        })
      lastWrite = through
      return written
    },
    async close(options = {}) {
      await stream.close(options).catch((error: Error) => stream.abort(error))
    },
    abort(error) {
      stream.abort(error)
    },
  }
}

/** A message with its length before it in one piece: each piece is a write to the socket. */
function framed(message: Uint8Array, body: Uint8Array = new Uint8Array()): Uint8ArrayList {
  const length = message.length + body.length
  const head = new Uint8Array(encodingLength(length) + message.length)
  encodeVarint(length, head)
  head.set(message, head.length - message.length)
  return body.length > 0 ? new Uint8ArrayList(head, body) : new Uint8ArrayList(head)
}

/** A message before a long body is decoded without putting the pieces of the body together. */
function decodeFrame<In>(codec: Codec<In>, frame: Uint8ArrayList) {
  const decode = (bytes: Uint8Array) => {
    const [message, rest] = codec.decodeFirst(bytes)
    return { message, body: frame.sublist(bytes.length - rest.length) }
  }
  if (frame.byteLength <= shortBytes) return decode(frame.subarray())
  try {
    return decode(frame.subarray(0, shortBytes))
  } catch {
    return decode(frame.subarray())
  }
}

function frameError(kind: string, cause: unknown, maxFrameBytes: number): Error {
  if (cause instanceof Error && cause.cause instanceof UnreadError) {
    return new UnreadOverflowError(kind, { cause })
  }
  return cause instanceof FrameTooLongError
    ? new MessageTooLargeError(kind, maxFrameBytes + 1, maxFrameBytes)
    : new ChannelClosedError(kind, { cause })
}
