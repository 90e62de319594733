/**
 * Sends a frame in pieces, each when its turn comes. What a libp2p stream takes goes to the line at
 * once: a big frame written whole fills the sender's modem, and everything else waits behind it.
 */
import type { Uint8ArrayList } from 'uint8arraylist'
import type { ByteStream } from './byte-stream.ts'

export type Pace = Readonly<{
  pieceBytes: number
  /** Resolves when the next `bytes` may go. */
  turn: (bytes: number) => Promise<void>
}>

/** Resolves when the stream takes more. @throws the signal's reason; the stream was closed. */
export async function sendPaced(
  stream: ByteStream,
  frame: Uint8ArrayList,
  { pieceBytes, turn }: Pace,
  signal: AbortSignal,
): Promise<void> {
  for (let at = 0; at < frame.byteLength; at += pieceBytes) {
    const piece = frame.sublist(at, Math.min(at + pieceBytes, frame.byteLength))
    await turn(piece.byteLength)
    signal.throwIfAborted()
    if (!stream.send(piece)) await drained(stream, signal)
  }
}

/** Resolves when the stream takes more. @throws the signal's reason; the stream was closed. */
export async function sendWhole(
  stream: ByteStream,
  frame: Uint8ArrayList,
  signal: AbortSignal,
): Promise<void> {
  if (!stream.send(frame)) await drained(stream, signal)
}

/** `stream.onDrain()` of libp2p works once only, and then resolves too early. */
async function drained(stream: ByteStream, signal: AbortSignal): Promise<void> {
  const done = Promise.withResolvers<void>()
  const onDrain = (): void => done.resolve()
  const onClose = (): void => done.reject(new Error('the stream was closed'))
  const onAbort = (): void => done.reject(signal.reason)
  stream.addEventListener('drain', onDrain)
  stream.addEventListener('close', onClose)
  signal.addEventListener('abort', onAbort)
  try {
    await done.promise
  } finally {
    stream.removeEventListener('drain', onDrain)
    stream.removeEventListener('close', onClose)
    signal.removeEventListener('abort', onAbort)
  }
}
