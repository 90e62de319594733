/**
 * A node and a cache that speak the real control protocol over real libp2p, and do nothing else:
 * no engine, no chunks. What they hold is in plain sight, so that a test can say what must be true.
 */
import { createHash, randomBytes } from 'node:crypto'
import { blobIdFor, chunkSizeFor } from '../../protocol/bundle/index.ts'
import { systemClock } from '../../protocol/clock.ts'
import {
  type Beat,
  type Capacity,
  type ControlLink,
  createControlLink,
  createCoordinatorTime,
  type DownMessage,
  type Hello,
  type InstanceReport,
  ingestSecretsCodec,
  type Renewal,
  type ResolvedManifest,
  type UpMessage,
} from '../../protocol/control/index.ts'
import { errorCode } from '../../protocol/errors.ts'
import { type Identity, identityFromSeed } from '../../protocol/identity/index.ts'
import type { BundleId, Digest, PeerId, SlotId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { createMesh, type Mesh } from '../../protocol/mesh/index.ts'
import type { Network } from '../../protocol/network/index.ts'
import {
  type Allocation,
  type AllocationSecrets,
  allocationCodec,
  allocationSecretsCodec,
  createTermKeeper,
  judgeAllocation,
  judgeRevocation,
  nodeKeysCodec,
  revocationCodec,
  type SlotMemory,
  type TermKeeper,
} from '../../protocol/orders/index.ts'
import { drawKeyPair, type Sealed, unseal } from '../../protocol/sealing/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'

export type FakePeerInit = Readonly<{
  network: Network
  addresses: readonly string[]
  seed?: Uint8Array
  beatMs?: number
}>

/** Keys, mesh and control link that both kinds of peers have. */
abstract class FakePeer {
  readonly #init: FakePeerInit
  protected readonly network: Network
  protected readonly keeper: TermKeeper
  protected readonly time = createCoordinatorTime({ clock: systemClock })
  readonly #privateKeys = new Map<string, Uint8Array>()
  #keysWanted = 0
  #mesh: Mesh | undefined
  #identity: Identity | undefined
  link: ControlLink | undefined
  readonly received: DownMessage[] = []
  readonly bundles = new Set<BundleId>()
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
          onWelcome: async (welcome, sentMs) => this.time.take(welcome.timeMs, sentMs),
          beat: () => this.#beat(),
          onBeatAnswer: (answer, sentMs) => {
            this.time.take(answer.timeMs, sentMs)
            this.#keysWanted = answer.keysWanted
            this.beatAnswers++
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
      misbehaviour: [],
    }
  }
}

export type HeldOrder = {
  readonly allocation: Allocation
  readonly order: Signed
  readonly secrets: AllocationSecrets | undefined
  report: InstanceReport
}

const gib = 2 ** 30

export class FakeNode extends FakePeer {
  protected readonly role = 'node'
  readonly holds = new Map<SlotId, HeldOrder>()
  readonly memory = new Map<SlotId, SlotMemory>()
  /** Coordinator's time at which each slot's lease ends. */
  readonly leases = new Map<SlotId, number>()
  /** Every order taken, in order. */
  readonly taken: Allocation[] = []
  /** What an order becomes; 'running' by default. */
  behaviour: InstanceReport['state'] = 'running'
  refuseWith: string | undefined
  lends: Capacity = {
    milliCpus: 4_000,
    memoryBytes: 8 * gib,
    storageBytes: 100 * gib,
    gpus: [],
    region: 'local',
    versions: {},
    allocationsMax: 1,
    envAllowed: true,
  }

  protected override capacity(): Capacity {
    return this.lends
  }

  protected override held(): Hello['held'] {
    return [...this.holds.values()].map(({ order, report }) => ({ order, report }))
  }

  protected override onRenewals(renewals: readonly Renewal[]): void {
    for (const { slot, leaseEndMs } of renewals) this.leases.set(slot, leaseEndMs)
  }

  setState(slot: SlotId, change: Partial<InstanceReport>): void {
    const held = this.holds.get(slot)
    if (!held) throw new Error(`slot ${slot} is not held`)
    held.report = { ...held.report, ...change }
    this.send({ type: 'report', instance: held.report })
  }

  protected override onMessage(message: DownMessage): void {
    if (message.type === 'order') this.#take(message.order)
    if (message.type === 'revoke') this.#revoke(message.revocation)
  }

  #take(order: Signed): void {
    const allocation = this.keeper.open('allocation', order, allocationCodec)
    const { slot, term, epoch, instance } = allocation
    const orderHash = createHash('sha256').update(order.payload).digest('hex')
    const answer = { type: 'order-answer', slot, term, epoch } as const
    try {
      if (this.refuseWith) throw Object.assign(new Error('no'), { code: this.refuseWith })
      const context = { self: this.peer, nowMs: this.time.nowMs() ?? 0, orderHash }
      const memory = this.memory.get(slot)
      if (judgeAllocation(allocation, { ...context, memory }) === 'redelivered') {
        this.send(answer)
        return
      }
    } catch (error) {
      const refusal = { code: errorCode(error) ?? 'INTERNAL', message: 'refused' }
      this.send({ ...answer, refusal })
      return
    }
    const before = this.holds.get(slot)
    const goesOn = before?.report.instance === instance
    const secrets = goesOn
      ? before.secrets
      : allocationSecretsCodec.decode(this.open(allocation.sealed))
    this.memory.set(slot, { fence: { term, epoch }, orderHash })
    this.leases.set(slot, allocation.leaseEndMs)
    this.taken.push(allocation)
    const zero = {
      ...{ restarts: 0, bytesTotal: 0, bytesDone: 0 },
      ...{ bytesFromCaches: 0, bytesFromPeers: 0, bytesServed: 0 },
    }
    const state = goesOn ? before.report.state : 'accepted'
    const report: InstanceReport = { slot, term, epoch, instance, state, ...zero }
    this.holds.set(slot, { allocation, order, secrets, report })
    this.send(answer)
    if (!goesOn) this.setState(slot, { state: this.behaviour })
  }

  #revoke(revocation: Signed): void {
    const { slot, term, epoch } = this.keeper.open('revocation', revocation, revocationCodec)
    judgeRevocation(revocationCodec.decode(revocation.payload), {
      self: this.peer,
      memory: this.memory.get(slot),
    })
    this.memory.set(slot, { fence: { term, epoch } })
    this.holds.delete(slot)
    this.link?.beatNow()
  }
}

export class FakeCache extends FakePeer {
  protected readonly role = 'cache'
  readonly resolves: string[] = []
  readonly ingests: string[] = []
  /** What was unsealed of each ingest and resolve. */
  readonly credentials: string[] = []
  /** Answers to resolve; by default every reference is a public image of two blobs. */
  resolve: (reference: string) => ResolvedManifest | { code: string; message: string } = (
    reference,
  ) => fakeImage(reference)
  /** Called when an ingest arrives; the answer waits for it. */
  beforeIngested: () => Promise<void> = async () => {}

  protected override onMessage(message: DownMessage): void {
    if (message.type === 'resolve') {
      this.resolves.push(message.reference)
      if (message.credentials) {
        this.credentials.push(Buffer.from(this.open(message.credentials)).toString('latin1'))
      }
      const answer = this.resolve(message.reference)
      const { id } = message
      if ('code' in answer) this.send({ type: 'resolved', id, fault: answer })
      else this.send({ type: 'resolved', id, image: answer })
    }
    if (message.type === 'ingest') void this.#ingest(message.id, message.sealed)
    if (message.type === 'drop-bundle') this.bundles.delete(message.bundle)
  }

  async #ingest(id: string, sealed: Sealed): Promise<void> {
    const secrets = ingestSecretsCodec.decode(this.open(sealed))
    this.ingests.push(secrets.repository)
    if (secrets.credentials) this.credentials.push(secrets.credentials.password)
    this.send({ type: 'ingest-progress', id, bytesDone: 1, bytesTotal: 2 })
    await this.beforeIngested()
    const blobIds = secrets.blobs.map(({ key, digest, sizeBytes }) =>
      blobIdFor(key, digest, chunkSizeFor(sizeBytes)),
    )
    const bundle = createHash('sha256').update(blobIds.join()).digest('hex') as BundleId
    this.bundles.add(bundle)
    this.send({ type: 'ingested', id, bundle, blobIds, registryBytes: 2 })
  }
}

function digestOf(text: string): Digest {
  return `sha256:${createHash('sha256').update(text).digest('hex')}` as Digest
}

/** A public image of two small blobs, the same for the same reference. */
export function fakeImage(reference: string, isPublic = true): ResolvedManifest {
  const type = 'application/vnd.oci.image'
  const blobs = ['config', 'layer'].map((name) => ({
    digest: digestOf(`${reference} ${name}`),
    sizeBytes: 1_000,
    mediaType: `${type}.${name}`,
  }))
  return fakeImageOf(reference, blobs, isPublic)
}

/** An image of these blobs, config first. */
export function fakeImageOf(
  reference: string,
  blobs: ResolvedManifest['blobs'],
  isPublic = true,
): ResolvedManifest {
  const [config, ...layers] = blobs.map(({ digest, sizeBytes, mediaType }) => ({
    ...{ digest, mediaType, size: sizeBytes },
  }))
  const annotations = { reference }
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers, annotations }))
  return {
    repository: reference.split(':')[0] ?? reference,
    manifest: new Uint8Array(manifest),
    manifestDigest: digestOf(manifest.toString()),
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    blobs,
    isPublic,
  }
}
