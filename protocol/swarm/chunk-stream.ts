/**
 * The stream of the chunk protocol: over a lane where the connection has lanes, else as libp2p
 * carries it. Who speaks plain libp2p is understood as well.
 */
import type { Connection, Stream } from '@libp2p/interface'
import { laneNoiseProtocol, laneOf } from '../lanes/index.ts'
import type { Mesh } from '../mesh/index.ts'
import type { ByteStream } from '../wire/index.ts'
import { ProtocolBreachError } from './errors.ts'
import { chunksLaneProtocol, chunksProtocol } from './wire.ts'

/** Streams that one connection may have open each way; one is used, more are reconnects. */
const streamsMax = 4
/** Bulk never goes over a relay. */
const options = { maxOutboundStreams: streamsMax, runOnLimitedConnection: false }

/**
 * One stream of the protocol. `newsRides`: the other end takes `runs` of requests and chunks for
 * news; who speaks the protocol over plain streams may know of `have` alone.
 */
export type ChunkStream = Readonly<{ bytes: ByteStream; newsRides: boolean }>

/** Opens one. @throws libp2p's errors; the signal's reason */
export async function openChunkStream(
  connection: Connection,
  { signal }: { readonly signal: AbortSignal },
): Promise<ChunkStream> {
  const hasLanes = connection.encryption === laneNoiseProtocol
  const protocols = hasLanes ? [chunksLaneProtocol, chunksProtocol] : [chunksProtocol]
  const stream = await connection.newStream(protocols, { ...options, signal })
  return chunkStreamOf(stream)
}

/** Has those served that others open. Ends with {@link refuseChunkStreams}. */
export async function acceptChunkStreams(
  mesh: Mesh,
  serve: (stream: ChunkStream, connection: Connection) => void,
): Promise<void> {
  const accept = (stream: Stream, connection: Connection): void => {
    try {
      serve(chunkStreamOf(stream), connection)
    } catch (error) {
      stream.abort(error as Error)
    }
  }
  const handlerOptions = { ...options, maxInboundStreams: streamsMax }
  await mesh.handle([chunksProtocol, chunksLaneProtocol], accept, handlerOptions)
}

/** Serves no further ones. */
export async function refuseChunkStreams(mesh: Mesh): Promise<void> {
  await mesh.unhandle([chunksProtocol, chunksLaneProtocol])
}

function chunkStreamOf(stream: Stream): ChunkStream {
  if (stream.protocol !== chunksLaneProtocol) return { bytes: stream, newsRides: false }
  const lane = laneOf(stream)
  if (lane) return { bytes: lane, newsRides: true }
  const fault = new ProtocolBreachError('a lane was asked for on a connection without lanes')
  stream.abort(fault)
  throw fault
}
