/**
 * Messages over a libp2p stream: length-prefixed frames of a codec. It owns the stream: any fault
 * in what arrives aborts this stream alone, with a typed error, and harms nothing else.
 *
 * Reading does not push back on the sender (libp2p streams buffer what comes, up to
 * `maxBufferedBytes`, then abort): a protocol bounds what is under way with credits of its own.
 */
import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { decode as decodeVarint, encode as encodeVarint, encodingLength } from 'uint8-varint'
import { Uint8ArrayList } from 'uint8arraylist'
import type { Codec } from './codec.ts'
import { ChannelClosedError, MalformedMessageError, MessageTooLargeError } from './errors.ts'
import { type Pace, sendPaced } from './pace.ts'

export type WaitOptions = Readonly<{ signal: AbortSignal }>

export type WriteOptions = WaitOptions &
  Readonly<{ body?: Uint8Array | undefined; pace?: Pace | undefined }>

export interface Channel<In, Out> {
  /** The next message and the raw bytes behind it in the same frame (often none). */
  read(options: WaitOptions): Promise<{ readonly message: In; readonly body: Uint8Array }>
  /**
   * Resolves when the stream takes more (back-pressure); calls are sent in order. With `pace` the
   * frame goes in pieces; what is written meanwhile waits for its end.
   */
  write(message: Out, options: WriteOptions): Promise<void>
  /** Ends our side in good order; at most `signal` long. */
  close(options?: Partial<WaitOptions>): Promise<void>
  /** Ends both sides at once. Harmless when already ended. */
  abort(error: Error): void
  readonly stream: Stream
}

export type ChannelInit<In, Out> = Readonly<{
  inbound: Codec<In>
  outbound: Codec<Out>
  /** The longest frame: a message with its body. */
  maxFrameBytes: number
  /** What may lie unread before the stream is aborted; at least `maxFrameBytes`. */
  maxBufferedBytes: number
}>

/** Wraps `stream`. @throws nothing; faults surface in `read` and `write`. */
export function openChannel<In, Out>(stream: Stream, init: ChannelInit<In, Out>): Channel<In, Out> {
  const { inbound, outbound, maxFrameBytes } = init
  const frames = lpStream(stream, {
    maxDataLength: maxFrameBytes,
    maxBufferSize: init.maxBufferedBytes,
    lengthDecoder: boundedLength(encodingLength(maxFrameBytes)),
  })
  const kind = inbound.kind
  let lastWrite: Promise<void> = Promise.resolve()

  const fail = (error: Error): Error => {
    stream.abort(error)
    return error
  }
  return {
    stream,
    async read({ signal }) {
      let frame: Uint8Array
      try {
        frame = (await frames.read({ signal })).subarray()
      } catch (cause) {
        signal.throwIfAborted()
        throw fail(frameError(kind, cause, maxFrameBytes))
      }
      try {
        const [message, body] = inbound.decodeFirst(frame)
        return { message, body }
      } catch (error) {
        throw fail(error instanceof Error ? error : new MalformedMessageError(kind, String(error)))
      }
    },
    write(message, { signal, body, pace }) {
      const head = outbound.encode(message)
      const frame = body && body.length > 0 ? new Uint8ArrayList(head, body) : head
      const written = lastWrite.then(async () => {
        try {
          if (!pace) await frames.write(frame, { signal })
          else await sendPaced(stream, prefixed(frame), pace, signal)
        } catch (cause) {
          // Half a frame was sent: nothing can follow it.
          if (pace && signal.aborted) fail(new ChannelClosedError(outbound.kind, { cause }))
          signal.throwIfAborted()
          throw fail(new ChannelClosedError(outbound.kind, { cause }))
        }
      })
      lastWrite = written.catch(() => undefined)
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

function prefixed(frame: Uint8Array | Uint8ArrayList): Uint8ArrayList {
  return new Uint8ArrayList(encodeVarint(frame.byteLength), frame)
}

/** The frame's length is not a varint of as few bytes as the longest frame needs. */
class FrameLengthError extends Error {}

/**
 * lpStream asks for one more byte for as long as a varint does not end, before it looks at its own
 * limit: an endless one would keep it reading, and growing, for ever.
 */
function boundedLength(lengthBytesMax: number): (data: Uint8ArrayList) => number {
  return (data) => {
    const isUnended = (data.get(data.byteLength - 1) & 0x80) !== 0
    if (isUnended && data.byteLength >= lengthBytesMax) throw new FrameLengthError()
    return decodeVarint(data)
  }
}

function frameError(kind: string, cause: unknown, maxFrameBytes: number): Error {
  const isTooLong = cause instanceof Error && cause.name === 'InvalidDataLengthError'
  if (isTooLong || cause instanceof FrameLengthError) {
    return new MessageTooLargeError(kind, maxFrameBytes + 1, maxFrameBytes)
  }
  return new ChannelClosedError(kind, { cause })
}
