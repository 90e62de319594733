/**
 * The lanes of one connection: each carries the bytes of one libp2p stream past the muxer. libp2p's
 * way through a muxer and a stream is dear (a copy or two, four events and some thirty calls for each
 * piece), and a home in a swarm sends and takes tens of pieces a second to and from each of its
 * neighbours. The stream itself stays: it opens, closes and resets the lane, which has no messages
 * of its own for that, and what passes by both keeps its order, since both are one connection.
 */
import type { Stream } from '@libp2p/interface'
import * as varint from 'uint8-varint'
import { Uint8ArrayList } from 'uint8arraylist'
import type { ByteStream } from '../wire/index.ts'

/** Of all lanes that nobody listens to yet: a stream's handler starts some turns after its peer. */
const earlyBytesMax = 256 * 1024
/** Memory that a piece takes beside its bytes. */
const pieceCost = 256

type Bytes = Uint8Array | Uint8ArrayList
// biome-ignore lint/suspicious/noExplicitAny: see above
type Listener = (event: any) => void
type OnBytes = (message: { readonly data: Bytes }) => void

/** What a connection does for its lanes. */
export interface LaneCarrier {
  /**
   * Sends bytes of a lane. False: wait for `drain`. @throws the connection is closed
   * @param head the lane's number, which begins each record
   */
  sendLane(head: Uint8Array, bytes: Bytes): boolean
  addEventListener(type: 'drain', listener: () => void): void
  removeEventListener(type: 'drain', listener: () => void): void
}

/** What has come for a stream that lives, while nobody listens to its lane. */
type Lane = { onBytes: OnBytes | undefined; early: Uint8ArrayList; earlyCost: number }

/** By the number of the stream. What comes for any other is dropped: it has ended. */
export class Lanes {
  readonly #carrier: LaneCarrier
  readonly #lanes = new Map<number, Lane>()
  #earlyCost = 0

  constructor(carrier: LaneCarrier) {
    this.#carrier = carrier
  }

  /** A stream begins; its lane lives as long. Its opening comes before anything on its lane. */
  place(stream: Stream, number: number): void {
    this.#lanes.set(number, { onBytes: undefined, early: new Uint8ArrayList(), earlyCost: 0 })
    stream.addEventListener('close', () => this.#end(number), { once: true })
  }

  /** Bytes of a lane have come. @throws {RangeError} there are none, or too many that nobody takes */
  take(record: Bytes): void {
    const number = varint.decode(record)
    const from = varint.encodingLength(number)
    const data = record instanceof Uint8Array ? record.subarray(from) : record.sublist(from)
    if (data.byteLength === 0) throw new RangeError('a record of a lane without bytes')
    const lane = this.#lanes.get(number)
    if (lane?.onBytes) lane.onBytes({ data })
    else if (lane) this.#keep(lane, data)
  }

  /** The lane of `stream`, which was placed under `number`. Once for each. */
  open(stream: Stream, number: number): ByteStream {
    // Nobody reads them there.
    stream.addEventListener('message', () =>
      stream.abort(new Error('bytes on a stream whose lane is used')),
    )
    return laneOver(stream, number, this.#carrier, (onBytes) => this.#listen(number, onBytes))
  }

  #listen(number: number, onBytes: OnBytes): void {
    const lane = this.#lanes.get(number)
    if (!lane) return
    lane.onBytes = onBytes
    this.#earlyCost -= lane.earlyCost
    lane.earlyCost = 0
    if (lane.early.byteLength > 0) onBytes({ data: lane.early })
    lane.early = new Uint8ArrayList()
  }

  #keep(lane: Lane, data: Bytes): void {
    const cost = data.byteLength + pieceCost
    this.#earlyCost += cost
    lane.earlyCost += cost
    if (this.#earlyCost > earlyBytesMax) {
      throw new RangeError(`more than ${earlyBytesMax} bytes of lanes that nobody listens to`)
    }
    lane.early.append(data)
  }

  #end(number: number): void {
    this.#earlyCost -= this.#lanes.get(number)?.earlyCost ?? 0
    this.#lanes.delete(number)
  }
}

/** `stream`, but for its bytes. */
function laneOver(
  stream: Stream,
  number: number,
  carrier: LaneCarrier,
  listen: (onBytes: OnBytes) => void,
): ByteStream {
  const head = varint.encode(number)
  return {
    get remoteWriteStatus() {
      return stream.remoteWriteStatus
    },
    readBufferLength: 0,
    send(bytes) {
      if (stream.writeStatus !== 'writable') throw new Error('the stream of the lane is closed')
      return carrier.sendLane(head, bytes)
    },
    addEventListener(type: 'message' | 'close' | 'drain' | 'remoteCloseWrite', listener: Listener) {
      if (type === 'message') listen(listener)
      else if (type === 'drain') carrier.addEventListener(type, listener as () => void)
      else stream.addEventListener(type, listener)
    },
    removeEventListener(type, listener) {
      if (type === 'drain') carrier.removeEventListener(type, listener)
      else stream.removeEventListener(type, listener)
    },
    close: async (options) => await stream.close(options),
    abort: (error) => stream.abort(error),
  }
}
