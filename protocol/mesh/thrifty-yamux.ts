/**
 * yamux that gives a stream's window back by halves. libp2p's own answers each frame that comes with
 * an update of the window: a packet back for every message, and both ends wake up for it. Half of a
 * window is always left for the sender, as in the original (yamux's specification, "Flow Control";
 * hashicorp/yamux sends its updates so too).
 */
import type { StreamMuxerFactory } from '@libp2p/interface'
import { yamux } from '@libp2p/yamux'
import { StreamState, type YamuxStream } from '@libp2p/yamux/stream'
import { placeStream, SecuredConnection } from '../lanes/index.ts'

/** A muxer from inside; see thrifty-tcp.ts. */
type Inside = { _newStream?(...init: unknown[]): YamuxStream }
/** A stream from inside: bytes of its window, and those that may still come. */
type Window = Pick<YamuxStream, 'state' | 'sendWindowUpdate'> & {
  recvWindow?: number
  recvWindowCapacity?: number
}

/** yamux that answers only when half of a stream's window is used up. */
export function thriftyYamux(options: Parameters<typeof yamux>[0]) {
  const make = yamux(options)
  return (): StreamMuxerFactory => {
    const factory = make()
    const create = factory.createStreamMuxer.bind(factory)
    factory.createStreamMuxer = (connection) => {
      const muxer = create(connection)
      const inside = muxer as unknown as Inside
      const newStream = inside._newStream?.bind(muxer)
      if (!newStream) return muxer
      inside._newStream = (...init) => {
        const stream = updateByHalves(newStream(...init))
        if (connection instanceof SecuredConnection) {
          placeStream(stream, connection.lanes, stream.streamId)
        }
        return stream
      }
      return muxer
    }
    return factory
  }
}

function updateByHalves(stream: YamuxStream): YamuxStream {
  const window = stream as unknown as Window
  const update = stream.sendWindowUpdate.bind(stream)
  window.sendWindowUpdate = () => {
    const { state, recvWindow = 0, recvWindowCapacity = 0 } = window
    // An update also opens the stream, and says that it was opened.
    if (state === StreamState.Established && recvWindowCapacity > recvWindow / 2) return
    update()
  }
  return stream
}
