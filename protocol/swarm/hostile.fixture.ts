/** A peer that speaks the chunk protocol by hand, rightly or wrongly. */
import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { dialPeer, type Mesh, type PeerAddress } from '../mesh/index.ts'
import { type Channel, openChannel } from '../wire/index.ts'
import {
  type Answer,
  type Ask,
  answerBufferedBytes,
  answerCodec,
  answerFrameBytes,
  askBufferedBytes,
  askCodec,
  askFrameBytes,
  chunksProtocol,
} from './wire.ts'

export const soon = () => ({ signal: AbortSignal.timeout(8_000) })

/** A raw stream of the chunk protocol. */
export async function openRaw(mesh: Mesh, to: PeerAddress): Promise<Stream> {
  const connection = await dialPeer(mesh, to, soon())
  return await connection.newStream(chunksProtocol, soon())
}

/** A channel and the stream below it. */
type Owned<C> = C & { readonly stream: Stream }

/** The asking end of a channel, in the test's hands. */
export function asking(stream: Stream): Owned<Channel<Answer, Ask>> {
  const channel = openChannel<Answer, Ask>(stream, {
    inbound: answerCodec,
    outbound: askCodec,
    maxFrameBytes: answerFrameBytes,
    maxBufferedBytes: answerBufferedBytes,
  })
  return { ...channel, stream }
}

/** The answering end. */
export function answering(stream: Stream): Owned<Channel<Ask, Answer>> {
  const channel = openChannel<Ask, Answer>(stream, {
    inbound: askCodec,
    outbound: answerCodec,
    maxFrameBytes: askFrameBytes,
    maxBufferedBytes: askBufferedBytes,
  })
  return { ...channel, stream }
}

/** One frame with a right length prefix around any bytes. */
export async function writeFrame(stream: Stream, bytes: Uint8Array): Promise<void> {
  await lpStream(stream).write(bytes, soon())
}

/** Resolves when the other side, or ours, has ended the stream. */
export async function ended(stream: Stream): Promise<void> {
  if (stream.status !== 'open') return
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the stream was not ended')), 8_000)
    stream.addEventListener('close', () => {
      clearTimeout(timer)
      resolve()
    })
    if (stream.status !== 'open') resolve()
  })
}
