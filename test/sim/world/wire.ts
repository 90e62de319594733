/**
 * One TCP connection between two processes of the simulated world, and the streams on it. Segments
 * arrive in order after the path's delay; while the path is cut they wait, as TCP's do, and arrive
 * when it heals; when a machine loses its power nobody says a word. Frames and codecs are the real
 * ones: streams carry bytes.
 */
import type { Uint8ArrayList } from 'uint8arraylist'
import type { ByteStream } from '../../../protocol/wire/byte-stream.ts'
import type { SimHost } from './network.ts'

type Listener = (event: never) => void

/** One end of a stream. */
export class SimStream implements ByteStream {
  readonly protocol: string
  readonly #end: SimConnection
  readonly #listeners = new Map<string, Set<Listener>>()
  remote: SimStream | undefined
  status: 'open' | 'closed' = 'open'
  remoteWriteStatus: ByteStream['remoteWriteStatus'] = 'writable'
  #writable = true
  readonly readBufferLength = 0

  constructor(protocol: string, end: SimConnection) {
    this.protocol = protocol
    this.#end = end
  }

  send(bytes: Uint8Array | Uint8ArrayList): boolean {
    if (!this.#writable) throw new Error('the stream is closed')
    const data = bytes.slice() // the sender may use its buffer again
    this.#end.segment(() => this.remote?.emit('message', { data }))
    return true
  }

  abort(error: Error): void {
    if (this.status === 'closed') return
    this.#end.segment(() => this.remote?.ended(new Error('the stream was reset')))
    this.ended(error)
  }

  async close(): Promise<void> {
    if (!this.#writable) return
    this.#writable = false
    this.#end.segment(() => this.remote?.remoteClosed())
    this.#endIfDone()
  }

  /** The connection is gone, or the other side reset the stream. */
  ended(error?: Error): void {
    if (this.status === 'closed') return
    this.status = 'closed'
    this.#writable = false
    this.remoteWriteStatus = 'closed'
    this.#end.streams.delete(this)
    this.emit('close', error ? { error } : {})
  }

  remoteClosed(): void {
    this.remoteWriteStatus = 'closed'
    this.emit('remoteCloseWrite', {})
    this.#endIfDone()
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    const known = this.#listeners.get(type) ?? new Set()
    known.add(listener)
    this.#listeners.set(type, known)
  }

  removeEventListener(type: string, listener: (event: never) => void): void {
    this.#listeners.get(type)?.delete(listener)
  }

  emit(type: string, event: object): void {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) listener(event as never)
  }

  #endIfDone(): void {
    if (!this.#writable && this.remoteWriteStatus === 'closed') this.ended()
  }
}

/** One end of a connection; what libp2p's `Connection` is to its users here. */
export class SimConnection {
  readonly host: SimHost
  readonly peerHost: SimHost
  readonly streams = new Set<SimStream>()
  readonly limits = undefined
  status: 'open' | 'closed' = 'open'
  other: SimConnection | undefined

  constructor(host: SimHost, peerHost: SimHost) {
    this.host = host
    this.peerHost = peerHost
  }

  get remotePeer() {
    return this.peerHost.peerId
  }

  get remoteAddr() {
    return this.peerHost.multiaddr
  }

  async newStream(protocol: string): Promise<SimStream> {
    if (this.status !== 'open' || !this.other) throw new Error('the connection is closed')
    const [near, far] = [new SimStream(protocol, this), new SimStream(protocol, this.other)]
    near.remote = far
    far.remote = near
    this.streams.add(near)
    const { other } = this
    this.segment(() => {
      if (other.status !== 'open') return
      other.streams.add(far)
      other.host.accept(protocol, far, other)
    })
    return near
  }

  abort(error: Error): void {
    if (this.status !== 'open') return
    this.segment(() => this.other?.lost(new Error('the connection was reset')))
    this.lost(error)
  }

  async close(): Promise<void> {
    this.abort(new Error('the connection was closed'))
  }

  /** Ends it here, without a word to the other side. */
  lost(error: Error): void {
    if (this.status !== 'open') return
    this.status = 'closed'
    this.host.connections.delete(this)
    for (const stream of [...this.streams]) stream.ended(error)
    this.host.emit('connection:close', this)
  }

  /** Has something happen at the other end when a segment sent now gets there. */
  segment(happen: () => void): void {
    if (!this.host.life.alive) return
    this.host.network.carry(this, () => {
      const { other } = this
      if (other?.status !== 'open') {
        // The machine runs, the process that held the connection does not: it answers with a reset.
        if (this.peerHost.machine.on) other?.resetBack()
        return
      }
      happen()
    })
  }

  /** The kernel of a process that is gone resets what still comes for it. */
  resetBack(): void {
    const { other } = this
    if (other?.status !== 'open') return
    this.host.network.carry(this, () => other.lost(new Error('the connection was reset')))
  }
}
