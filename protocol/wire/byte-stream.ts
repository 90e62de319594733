/**
 * What a channel needs of what lies below it: the part of a libp2p stream that carries bytes, ends
 * and is ended. A lane (protocol/lanes) is another.
 */
import type { Stream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'

type Listener<Event> = (event: Event) => void

export interface ByteStream {
  /** Takes all of it. False: more should wait for `drain`. @throws it is closed */
  send(bytes: Uint8Array | Uint8ArrayList): boolean
  abort(error: Error): void
  close(options?: { readonly signal?: AbortSignal }): Promise<void>
  readonly remoteWriteStatus: Stream['remoteWriteStatus']
  readonly readBufferLength: number
  addEventListener(
    type: 'message',
    listener: Listener<{ readonly data: Uint8Array | Uint8ArrayList }>,
  ): void
  addEventListener(type: 'close', listener: Listener<{ readonly error?: Error }>): void
  addEventListener(type: 'drain' | 'remoteCloseWrite', listener: Listener<unknown>): void
  removeEventListener(type: 'drain' | 'close', listener: () => void): void
}
