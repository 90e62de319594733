/**
 * What a fake node and a fake cache have in common: keys, a mesh and a control link. They speak the
 * real control protocol over real libp2p, and do nothing else: no engine, no chunks. What they hold
 * is in plain sight, so that a test can say what must be true.
 */
import { randomBytes } from 'node:crypto'
import { systemClock } from '../../protocol/clock.ts'
import {
  type Beat,
  type Capacity,
  type ControlLink,
  createControlLink,
  createCoordinatorTime,
  type DownMessage,
  type Hello,
  type Misbehaviour,
  type Renewal,
  type UpMessage,
} from '../../protocol/control/index.ts'
import { type Identity, identityFromSeed } from '../../protocol/identity/index.ts'
import type { BundleId, PeerId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { createMesh, type Mesh } from '../../protocol/mesh/index.ts'
import type { Network } from '../../protocol/network/index.ts'
import { createTermKeeper, nodeKeysCodec, type TermKeeper } from '../../protocol/orders/index.ts'
import { drawKeyPair, type Sealed, unseal } from '../../protocol/sealing/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'

export type FakePeerInit = Readonly<{
  network: Network
  addresses: readonly string[]
  seed?: Uint8Array
  beatMs?: number
}>

export abstract class FakePeer {
  readonly #init: FakePeerInit
  protected readonly network: Network
  readonly keeper: TermKeeper
  protected readonly time = createCoordinatorTime({ clock: systemClock })
  readonly #privateKeys = new Map<string, Uint8Array>()
  #keysWanted = 0
  #mesh: Mesh | undefined
  #identity: Identity | undefined
  link: ControlLink | undefined
  readonly received: DownMessage[] = []
  readonly bundles = new Set<BundleId>()
  /** What it says of others in its next beat. */
  readonly accusations: Misbehaviour[] = []
  /** The newest that it was told. */
  pulse: Signed | undefined
  /** The chef that the last welcome named. */
  welcomedAs: string | undefined
  /** Counted since the start. */
  hellos = 0
  beatAnswers = 0

  constructor(init: FakePeerInit) {
    this.#init = { seed: new Uint8Array(randomBytes(32)), ...init }
    this.network = init.network
    this.keeper = createTermKeeper(init.network, init.network.certificate)
  }

  protected abstract readonly role: Hello['role']
  protected capacity(): Capacity | undefined {
    return undefined
  }
  protected held(): Hello['held'] {
    return []
  }
  protected abstract onMessage(message: DownMessage): void
  protected onRenewals(_renewals: readonly Renewal[]): void {}

  get peer(): PeerId {
    if (!this.#identity) throw new Error('not started')
    return this.#identity.peer
  }

  get mesh(): Mesh {
    if (!this.#mesh) throw new Error('not started')
    return this.#mesh
  }

  async start(): Promise<void> {
    const seed = this.#init.seed ?? new Uint8Array(32)
    this.#identity = await identityFromSeed(seed)
    this.#mesh = await createMesh(
      { role: this.role, seed, listen: ['/ip4/127.0.0.1/tcp/0'], testbed: true },
      { banned: () => false, logger: silentLogger },
    )
    this.link = createControlLink(
      {
        coordinator: this.keeper.coordinator,
        addresses: this.#init.addresses,
        beatMs: this.#init.beatMs ?? 200,
        handlers: {
          hello: async () => {
            this.hellos++
            return this.#hello()
          },
          onWelcome: async (welcome, sentMs) => {
            this.keeper.offer(welcome.certificate)
            this.welcomedAs = welcome.chef
            this.time.take(welcome.timeMs, sentMs)
          },
          beat: () => this.#beat(),
          onBeatAnswer: (answer, sentMs) => {
            this.time.take(answer.timeMs, sentMs)
            this.#keysWanted = answer.keysWanted
            this.beatAnswers++
            if (answer.pulse) this.pulse = answer.pulse
            this.onRenewals(answer.renewals)
          },
          onMessage: (message) => {
            this.received.push(message)
            this.onMessage(message)
          },
          onDown: () => {},
        },
      },
      { mesh: this.#mesh, clock: systemClock, random: Math.random, logger: silentLogger },
    )
  }

  /** As a kill -9 looks from outside: everything closes without a word. */
  async crash(): Promise<void> {
    await this.link?.stop({ flushMs: 0 })
    await this.#mesh?.stop()
    this.link = undefined
    this.#mesh = undefined
  }

  async goodbye(): Promise<void> {
    this.link?.send({ type: 'goodbye', reason: 'the chef is back' })
    await this.link?.stop()
    await this.#mesh?.stop()
    this.link = undefined
    this.#mesh = undefined
  }

  protected send(message: UpMessage): void {
    this.link?.send(message)
  }

  protected open(sealed: Sealed): Uint8Array {
    const name = Buffer.from(sealed.recipientKey).toString('hex')
    const secret = this.#privateKeys.get(name)
    if (!secret) throw new Error('sealed to a key that is not mine')
    return unseal(sealed, secret)
  }

  #keys(replaces: boolean, count: number): Signed {
    const keys: Uint8Array[] = []
    for (let made = 0; made < count; made++) {
      const pair = drawKeyPair()
      this.#privateKeys.set(Buffer.from(pair.publicKey).toString('hex'), pair.secretKey)
      keys.push(pair.publicKey)
    }
    const { network } = this.network
    const payload = nodeKeysCodec.encode({ v: 1, network, peer: this.peer, replaces, keys })
    return (this.#identity as Identity).signer.sign('node-keys', payload)
  }

  #hello(): Hello {
    const capacity = this.capacity()
    return {
      type: 'hello',
      role: this.role,
      version: 'fake',
      term: this.keeper.term,
      certificate: this.keeper.certificate,
      ...(this.pulse ? { pulse: this.pulse } : {}),
      rosterNumber: 0,
      banNumber: 0,
      addrs: this.mesh.getMultiaddrs().map(String),
      keys: this.#keys(true, 8),
      ...(capacity ? { capacity } : {}),
      held: this.held(),
      bundles: [...this.bundles],
    }
  }

  #beat(): Omit<Beat, 'type' | 'seq'> {
    const capacity = this.capacity()
    const wanted = Math.min(this.#keysWanted, 4)
    return {
      instances: this.held().map(({ report }) => report),
      bundles: [...this.bundles],
      ...(capacity ? { capacity } : {}),
      ...(wanted > 0 ? { keys: this.#keys(false, wanted) } : {}),
      misbehaviour: this.accusations.splice(0),
    }
  }
}
