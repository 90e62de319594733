/**
 * The lanes of one connection: each carries the bytes of one libp2p stream past the muxer. libp2p's
 * way through a muxer and a stream is dear (a copy or two, four events and some thirty calls for each
 * piece), and a home in a swarm sends and takes tens of pieces a second to and from each of its
 * neighbours. The stream itself stays: it opens, closes and resets the lane, which has no messages
 * of its own for that, and what passes by both keeps its order, since both are one connection.
 */
import type { Stream } from '@libp2p/interface'
import { LRUCache } from 'lru-cache'
import * as varint from 'uint8-varint'
import { Uint8ArrayList } from 'uint8arraylist'
import type { ByteStream } from '../wire/index.ts'

/** Of all lanes that nobody listens to yet: a stream's handler starts some turns after its peer. */
const earlyBytesMax = 256 * 1024
/** Lanes that have ended, whose last bytes may still come. */
const endedMax = 64

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

/** By the number of the stream. */
export class Lanes {
  readonly #carrier: LaneCarrier
  readonly #listeners = new Map<number, OnBytes>()
  readonly #early = new Map<number, Uint8ArrayList>()
  readonly #ended = new LRUCache<number, true>({ max: endedMax })
  #earlyBytes = 0

  constructor(carrier: LaneCarrier) {
    this.#carrier = carrier
  }

  /** Bytes of a lane have come. @throws {RangeError} nobody takes them, and they are too many. */
  take(record: Bytes): void {
    const number = varint.decode(record)
    const from = varint.encodingLength(number)
    const data = record instanceof Uint8Array ? record.subarray(from) : record.sublist(from)
    const listener = this.#listeners.get(number)
    if (listener) listener({ data })
    else if (!this.#ended.has(number)) this.#keep(number, data)
  }

  /** The lane of `stream`, whose number on the connection is `number`. Once for each. */
  open(stream: Stream, number: number): ByteStream {
    stream.addEventListener('close', () => this.#end(number), { once: true })
    return laneOver(stream, number, this.#carrier, (onBytes) => this.#listen(number, onBytes))
  }

  #listen(number: number, onBytes: OnBytes): void {
    if (this.#ended.has(number)) return
    this.#listeners.set(number, onBytes)
    const data = this.#early.get(number)
    if (!data) return
    this.#early.delete(number)
    this.#earlyBytes -= data.byteLength
    onBytes({ data })
  }

  #keep(number: number, data: Bytes): void {
    this.#earlyBytes += data.byteLength
    if (this.#earlyBytes > earlyBytesMax) {
      throw new RangeError(`${this.#earlyBytes} bytes of lanes that nobody listens to`)
    }
    const kept = this.#early.get(number) ?? new Uint8ArrayList()
    kept.append(data)
    this.#early.set(number, kept)
  }

  #end(number: number): void {
    this.#listeners.delete(number)
    this.#earlyBytes -= this.#early.get(number)?.byteLength ?? 0
    this.#early.delete(number)
    this.#ended.set(number, true)
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
