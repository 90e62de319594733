/**
 * The asking half of a simulated home: the real picker and asker over links that are events. A seed
 * has none: it asks for nothing.
 */
import type { Bitfield, ReadonlyBitfield, Run } from '../../../protocol/bundle/index.ts'
import { ChunkAsker } from '../../../protocol/swarm/chunk-asker.ts'
import { Picker } from '../../../protocol/swarm/picker.ts'
import type { PeerMaps } from '../../../protocol/swarm/schedule/index.ts'
import type { Sender } from '../../../protocol/swarm/sender.ts'
import { SwarmStats } from '../../../protocol/swarm/stats.ts'
import { createTokenBucket } from '../../../protocol/swarm/token-bucket.ts'
import { simulatedBundle } from './image.ts'
import type { World } from './world.ts'

export type AskingInit = Readonly<{
  /** What the home has; the asking sets what comes. */
  held: Bitfield
  maps: PeerMaps
  onGain: (chunk: number) => void
}>

/** What one home asks of whom. Peers go by their names. */
export class Asking {
  readonly #world: World
  readonly #init: AskingInit
  readonly #picker: Picker
  readonly #asker: ChunkAsker
  readonly #senders = new Map<string, Sender>()
  duplicateBytes = 0

  constructor(world: World, init: AskingInit) {
    const { layout, policy, random, chunkBytes } = world
    const { held, maps } = init
    this.#world = world
    this.#init = init
    this.#picker = new Picker({
      ...{ chunkCount: layout.chunkCount, held, maps, random },
      bytesOf: (chunk) => chunkBytes[chunk] ?? 0,
      windowChunks: policy.windowChunks,
    })
    this.#asker = new ChunkAsker({
      ...{ bundle: simulatedBundle, layout, picker: this.#picker },
      senderOf: (peer) => this.#senders.get(peer),
      bucket: createTokenBucket(1),
      stats: new SwarmStats({ nowMs: () => 0, isCache: () => false }),
    })
  }

  /** A link, over which the other has said what it has. */
  meet(sender: Sender, held: ReadonlyBitfield): void {
    this.#picker.setPeer(sender.peer, held, this.#world.events.nowMs)
    this.#senders.set(sender.peer, sender)
  }

  /** The link is gone; what was asked over it is free. */
  part(peer: string): void {
    this.#senders.delete(peer)
    this.#picker.removePeer(peer)
  }

  /** A sender says that it has more. */
  heard(peer: string, run: Run): void {
    this.#picker.peerGained(peer, run, this.#world.events.nowMs)
  }

  fillFrom(peer: string): void {
    const sender = this.#senders.get(peer)
    if (sender && !this.#init.held.full) this.#asker.fill(sender, this.#world.events.nowMs)
  }

  fillAll(): void {
    if (this.#init.held.full) return
    const { nowMs } = this.#world.events
    for (const sender of this.#senders.values()) this.#asker.fill(sender, nowMs)
  }

  /** A sender has let go of a request. */
  letGo(peer: string, id: number): void {
    const sender = this.#senders.get(peer)
    if (sender) this.#asker.free(sender, id, this.#world.events.nowMs)
    this.fillFrom(peer)
  }

  arrived(from: string, id: number, chunk: number, bytes: number): void {
    const { nowMs } = this.#world.events
    const sender = this.#senders.get(from)
    const asked = sender?.asked.get(chunk)
    this.#asker.settled(chunk)
    if (sender && asked?.id === id) {
      sender.settle(chunk)
      if (asked.first) sender.credit.answered(nowMs - asked.atMs)
    }
    sender?.worked(nowMs)
    sender?.credit.arrived(bytes, nowMs)
    if (this.#init.held.has(chunk)) {
      this.duplicateBytes += bytes
      this.#asker.duplicateBytes += bytes
    } else this.#gain(chunk, bytes, sender)
    this.fillFrom(from)
  }

  #gain(chunk: number, bytes: number, from: Sender | undefined): void {
    this.#init.held.set(chunk)
    if (from) from.receivedBytes += bytes
    const asked = this.#picker.gained(chunk)
    // It came after it had been taken over: what is left there is asked anew.
    const owner = asked === undefined ? undefined : this.#senders.get(asked)
    const request = owner?.asked.get(chunk)
    if (owner && request) this.#asker.cancel(owner, request.id, this.#world.events.nowMs)
    this.#init.onGain(chunk)
  }
}
