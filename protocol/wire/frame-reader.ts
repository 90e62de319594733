/**
 * Cuts what comes over a libp2p stream into frames: a varint, then so many bytes. libp2p's own
 * reader (lpStream) waits for each byte of the varint with two promises: 20 µs a frame, as much as
 * half of its SHA-256. It owns the stream's reading: nothing else may listen for its messages.
 */
import { encodingLength } from 'uint8-varint'
import { Uint8ArrayList } from 'uint8arraylist'
import type { ByteStream } from './byte-stream.ts'

export type FrameLimits = Readonly<{
  /** The longest frame, without its length. */
  maxFrameBytes: number
  /** What may lie unread before the stream is aborted. */
  maxBufferedBytes: number
}>

/** The peer announces a frame that is too long, or a length without an end. */
export class FrameTooLongError extends Error {}
/** The peer sends on and on, faster than it is read. */
export class UnreadError extends Error {}
/** The stream has ended; what is left of it is no frame. */
export class StreamEndedError extends Error {}

export interface FrameReader {
  /**
   * The next frame, in the pieces that it came in; one caller at a time.
   * @throws the signal's reason; {@link FrameTooLongError}; {@link StreamEndedError} with the cause
   */
  read(signal: AbortSignal): Promise<Uint8ArrayList>
}

/** Listens to `stream` from now on. */
export function createFrameReader(
  stream: ByteStream,
  { maxFrameBytes, maxBufferedBytes }: FrameLimits,
): FrameReader {
  const lengthBytesMax = encodingLength(maxFrameBytes)
  const unread = new Uint8ArrayList()
  /** Of the frame that is coming, once its length is here. */
  let frameBytes: number | undefined
  let fault: Error | undefined
  let wake: () => void = () => undefined

  const onMessage = ({ data }: { data: Uint8Array | Uint8ArrayList }): void => {
    if (fault || data.byteLength === 0) return
    unread.append(data)
    if (unread.byteLength > maxBufferedBytes) {
      const overflow = new UnreadError(
        `${unread.byteLength} bytes unread, at most ${maxBufferedBytes}`,
      )
      fault = overflow
      unread.consume(unread.byteLength)
      // Not while libp2p is still telling of these bytes.
      queueMicrotask(() => stream.abort(overflow))
    }
    wake()
  }
  const onClose = ({ error }: { error?: Error }): void => {
    fault ??= error
    wake()
  }
  stream.addEventListener('message', onMessage)
  stream.addEventListener('close', onClose)
  stream.addEventListener('remoteCloseWrite', () => wake())

  const hasEnded = (): boolean =>
    fault !== undefined ||
    (stream.remoteWriteStatus !== 'writable' && stream.readBufferLength === 0)

  /** The next frame, if all of it is here. */
  const take = (): Uint8ArrayList | undefined => {
    frameBytes ??= takeLength(unread, lengthBytesMax)
    if (frameBytes === undefined) return undefined
    if (frameBytes > maxFrameBytes) throw new FrameTooLongError()
    if (unread.byteLength < frameBytes) return undefined
    const frame = unread.sublist(0, frameBytes)
    unread.consume(frameBytes)
    frameBytes = undefined
    return frame
  }
  return {
    async read(signal) {
      for (;;) {
        signal.throwIfAborted()
        const frame = take()
        if (frame) return frame
        if (hasEnded()) throw new StreamEndedError('the stream has ended', { cause: fault })
        await new Promise<void>((resolve) => {
          wake = resolve
          signal.addEventListener('abort', wake, { once: true })
        })
        signal.removeEventListener('abort', wake)
      }
    },
  }
}

/** Takes a varint (unsigned LEB128) off the front; undefined while its end is not here. */
function takeLength(unread: Uint8ArrayList, lengthBytesMax: number): number | undefined {
  let length = 0
  for (let at = 0; at < unread.byteLength; at++) {
    if (at === lengthBytesMax) throw new FrameTooLongError()
    const byte = unread.get(at)
    length += (byte & 0x7f) * 2 ** (7 * at)
    if ((byte & 0x80) !== 0) continue
    unread.consume(at + 1)
    return length
  }
  return undefined
}
