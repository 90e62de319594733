/**
 * The simulated internet: who can reach whom, how long it takes, and a libp2p host's face for each
 * process, as far as control link and sessions use one. Cuts have a direction: a home may hear and
 * not be heard.
 */
import { multiaddr } from '@multiformats/multiaddr'
import type { PeerId } from '../../../protocol/ids.ts'
import { type Mesh, toLibp2pPeerId } from '../../../protocol/mesh/index.ts'
import type { Life, Machine } from './machine.ts'
import type { Timeline } from './timeline.ts'
import { SimConnection, type SimStream } from './wire.ts'

type DialOptions = Readonly<{ signal?: AbortSignal }>
type Handler = (stream: SimStream, connection: SimConnection) => void
type Parcel = Readonly<{ from: SimConnection; arrive: () => void }>

/** No answer to a SYN. */
const dialMs = 5_000
const latencyMinMs = 5
const latencyMaxMs = 60

export class SimNetwork {
  readonly timeline: Timeline
  readonly #random: () => number
  readonly #listening = new Map<PeerId, SimHost>()
  readonly #latencies = new Map<string, number>()
  /** `from>to`, by machines' names. */
  readonly #cuts = new Set<string>()
  readonly #waiting = new Map<string, Parcel[]>()

  constructor(init: Readonly<{ timeline: Timeline; random: () => number }>) {
    this.timeline = init.timeline
    this.#random = init.random
  }

  /** A process that can dial and be dialled, until its life ends. */
  host(init: Readonly<{ peer: PeerId; machine: Machine; life: Life }>): SimHost {
    const host = new SimHost({ ...init, network: this })
    this.#listening.set(init.peer, host)
    init.life.onEnd((how) => {
      if (this.#listening.get(init.peer) === host) this.#listening.delete(init.peer)
      host.died(how)
    })
    return host
  }

  cut(from: Machine, to: Machine): void {
    this.#cuts.add(pathOf(from, to))
  }

  heal(from: Machine, to: Machine): void {
    const path = pathOf(from, to)
    this.#cuts.delete(path)
    for (const { from: sender, arrive } of this.#waiting.get(path) ?? []) this.#pass(sender, arrive)
    this.#waiting.delete(path)
  }

  /** Has a segment arrive: later while the path is cut, never where there is no power. */
  carry(from: SimConnection, arrive: () => void): void {
    const path = pathOf(from.host.machine, from.peerHost.machine)
    if (!this.#cuts.has(path)) {
      this.#pass(from, arrive)
      return
    }
    const waiting = this.#waiting.get(path) ?? []
    waiting.push({ from, arrive })
    this.#waiting.set(path, waiting)
  }

  async dial(from: SimHost, to: PeerId, signal: AbortSignal | undefined): Promise<SimConnection> {
    const target = this.#listening.get(to)
    const { clock } = from.life
    const isReached =
      target?.machine.on === true &&
      !this.#cuts.has(pathOf(from.machine, target.machine)) &&
      !this.#cuts.has(pathOf(target.machine, from.machine))
    if (!target || !isReached) {
      await clock.sleep(target ? dialMs : latencyMaxMs, signal ? { signal } : {})
      throw new Error('no answer')
    }
    // TCP, then Noise and the muxer.
    await clock.sleep(3 * this.#latency(from.machine, target.machine), signal ? { signal } : {})
    if (!target.life.alive) throw new Error('connection refused')
    const [near, far] = [new SimConnection(from, target), new SimConnection(target, from)]
    near.other = far
    far.other = near
    from.connections.add(near)
    target.connections.add(far)
    return near
  }

  #pass({ host, peerHost }: SimConnection, arrive: () => void): void {
    this.timeline.after(this.#latency(host.machine, peerHost.machine), () =>
      peerHost.machine.gate(() => {
        if (peerHost.life.alive) peerHost.life.gate(arrive)
        else arrive()
      }),
    )
  }

  #latency(a: Machine, b: Machine): number {
    const pair = a.name < b.name ? `${a.name} ${b.name}` : `${b.name} ${a.name}`
    let known = this.#latencies.get(pair)
    if (known === undefined) {
      known = latencyMinMs + this.#random() * (latencyMaxMs - latencyMinMs)
      this.#latencies.set(pair, known)
    }
    return known
  }
}

function pathOf(from: Machine, to: Machine): string {
  return `${from.name}>${to.name}`
}

/** What one process shows of a libp2p host. */
export class SimHost {
  readonly network: SimNetwork
  readonly machine: Machine
  readonly life: Life
  readonly peerId
  readonly multiaddr
  readonly connections = new Set<SimConnection>()
  readonly #handlers = new Map<string, Handler>()
  readonly #listeners = new Map<string, Set<(event: { readonly detail: SimConnection }) => void>>()

  constructor(init: Readonly<{ peer: PeerId; machine: Machine; life: Life; network: SimNetwork }>) {
    this.network = init.network
    this.machine = init.machine
    this.life = init.life
    this.peerId = toLibp2pPeerId(init.peer)
    this.multiaddr = multiaddr(`/ip4/${init.machine.address}/tcp/4001/p2p/${init.peer}`)
  }

  /** As the code under test takes it. It uses these few members, and a cast says so once. */
  get mesh(): Mesh {
    const face = {
      peerId: this.peerId,
      services: {
        inner: {
          transportManager: {
            dial: (target: unknown, options?: DialOptions) => this.#dial(target, options),
          },
        },
        pubsub: {
          topicValidators: new Map(),
          subscribe: () => undefined,
          unsubscribe: () => undefined,
          publish: async () => undefined,
        },
      },
      peerStore: { merge: async () => undefined, all: async () => [] },
      getPeers: () => [...this.connections].map(({ remotePeer }) => remotePeer),
      getMultiaddrs: () => [this.multiaddr],
      getConnections: (peer?: { toString(): string }) =>
        [...this.connections].filter(
          ({ remotePeer }) => !peer || remotePeer.toString() === peer.toString(),
        ),
      dial: (target: unknown, options?: DialOptions) => this.#dial(target, options),
      handle: async (protocol: string, handler: Handler) => {
        this.#handlers.set(protocol, handler)
      },
      unhandle: async (protocol: string) => {
        this.#handlers.delete(protocol)
      },
      addEventListener: (type: string, listener: (event: never) => void) => {
        const known = this.#listeners.get(type) ?? new Set()
        known.add(listener as (event: { readonly detail: SimConnection }) => void)
        this.#listeners.set(type, known)
      },
      removeEventListener: (type: string, listener: (event: never) => void) => {
        this.#listeners
          .get(type)
          ?.delete(listener as (event: { readonly detail: SimConnection }) => void)
      },
    }
    return face as unknown as Mesh
  }

  async #dial(target: unknown, options?: DialOptions): Promise<SimConnection> {
    return await this.network.dial(this, peerOf(target), options?.signal)
  }

  accept(protocol: string, stream: SimStream, connection: SimConnection): void {
    const handler = this.#handlers.get(protocol)
    if (handler) handler(stream, connection)
    else stream.abort(new Error(`${protocol} is not spoken here`))
  }

  emit(type: string, detail: SimConnection): void {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) listener({ detail })
  }

  /** Its sockets are closed by the kernel; without power they just fall silent. */
  died(how: 'killed' | 'power'): void {
    for (const connection of this.connections) {
      connection.status = 'closed'
      if (how === 'killed') connection.resetBack()
    }
    this.connections.clear()
  }
}

/** Of a multiaddr, several of one peer, or a peer id. */
function peerOf(target: unknown): PeerId {
  const text = String(Array.isArray(target) ? target[0] : target)
  return text.slice(text.lastIndexOf('/') + 1) as PeerId
}
