/**
 * A connection after Noise's handshake that carries a muxer, and lanes beside it. It takes the place
 * of libp2p's own, which knows of a muxer alone; for that one it is the same.
 */
import type { MessageStream } from '@libp2p/interface'
import { AbstractMessageStream } from '@libp2p/utils'
import { Uint8ArrayList } from 'uint8arraylist'
import { type LaneCarrier, Lanes } from './lanes.ts'
import { framed, RecordCutter, type RecordKind, recordBytesMax, recordKinds } from './records.ts'

type Bytes = Uint8Array | Uint8ArrayList

/** What a handshake leaves: one direction's cipher each, which counts its own nonces. */
export type TransportKeys = Readonly<{
  encrypt: (plaintext: Bytes) => Bytes
  /** @throws it was not sealed by the other end as the next record */
  decrypt: (ciphertext: Bytes) => Bytes
}>

const kindBytes = {
  [recordKinds.muxer]: Uint8Array.of(recordKinds.muxer),
  [recordKinds.lane]: Uint8Array.of(recordKinds.lane),
}

const cutters = new WeakMap<object, RecordCutter>()

/**
 * What is still to come on a connection before anything can be done with it: a record is of no use
 * before its end. 0: not known.
 */
export function missingBytesOn(under: object): number {
  return cutters.get(under)?.missingBytes ?? 0
}

/** What libp2p takes for the encrypted connection, with {@link Lanes} beside. */
export class SecuredConnection extends AbstractMessageStream implements LaneCarrier {
  readonly lanes = new Lanes(this)
  readonly #under: MessageStream
  readonly #keys: TransportKeys
  readonly #cutter = new RecordCutter()

  constructor(under: MessageStream, keys: TransportKeys) {
    super({
      log: under.log,
      inactivityTimeout: under.inactivityTimeout,
      maxReadBufferLength: under.maxReadBufferLength,
      direction: under.direction,
    })
    this.#under = under
    this.#keys = keys
    cutters.set(under, this.#cutter)
    under.addEventListener('message', ({ data }) => this.#take(data))
    under.addEventListener('drain', () => this.safeDispatchEvent('drain'))
    under.addEventListener('remoteCloseWrite', () => this.onRemoteCloseWrite())
    under.addEventListener('close', (event) => {
      const { error, local } = event as { readonly error?: Error; readonly local?: boolean }
      if (!error) this.onTransportClosed()
      else if (local) this.abort(error)
      else this.onRemoteReset()
    })
  }

  sendLane(head: Uint8Array, bytes: Bytes): boolean {
    return this.#send(recordKinds.lane, bytes, head)
  }

  // What libp2p's stream asks of one that extends it.

  sendData(data: Uint8ArrayList): { sentBytes: number; canSendMore: boolean } {
    const sentBytes = data.byteLength
    return { sentBytes, canSendMore: this.#send(recordKinds.muxer, data) }
  }

  close(options?: { readonly signal?: AbortSignal }): Promise<void> {
    return this.#under.close(options)
  }

  sendPause(): void {
    this.#under.pause()
  }

  sendResume(): void {
    this.#under.resume()
  }

  sendReset(error: Error): void {
    this.#under.abort(error)
  }

  #send(kind: RecordKind, bytes: Bytes, head?: Uint8Array): boolean {
    let takesMore = true
    for (let at = 0; at < bytes.byteLength; at += recordBytesMax) {
      const record = new Uint8ArrayList<ArrayBufferLike>(kindBytes[kind])
      if (head) record.append(head)
      if (bytes.byteLength <= recordBytesMax) record.append(bytes)
      else record.append(bytes.slice(at, Math.min(at + recordBytesMax, bytes.byteLength)))
      takesMore = this.#under.send(framed(this.#keys.encrypt(record)))
    }
    return takesMore
  }

  #take(data: Bytes): void {
    try {
      this.#cutter.add(data)
      while (this.status === 'open') {
        const sealed = this.#cutter.next()
        if (!sealed) return
        const record = this.#keys.decrypt(sealed)
        const kind = record instanceof Uint8Array ? record[0] : record.get(0)
        const bytes = record instanceof Uint8Array ? record.subarray(1) : record.sublist(1)
        if (kind === recordKinds.muxer) this.onData(bytes)
        else if (kind === recordKinds.lane) this.lanes.take(bytes)
        else throw new RangeError(`a record of kind ${kind}`)
      }
    } catch (error) {
      this.abort(error as Error)
    }
  }
}
