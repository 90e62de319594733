/**
 * Coordinator and nodes in one process under one clock that a test moves: the production slots, plan,
 * leases, pulses and brake on one side, the production allocations, docket and rules on the other. Only
 * wire, disk and engine are played. For promises about hours that no test can wait for.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { GroupRecord } from '../../coordinator/groups/index.ts'
import { createOrderSigner, openPulses, type Pulses } from '../../coordinator/orders/index.ts'
import {
  createReconciler,
  createSettling,
  defaultLeaseNumbers,
  openBrakeWatch,
  openSlotBook,
  type Reconciler,
  type SlotBook,
} from '../../coordinator/reconciler/index.ts'
import { PeerState } from '../../coordinator/sessions/index.ts'
import { nextFence, type Placement } from '../../coordinator/slots/index.ts'
import { FakeClock } from '../../protocol/clock.ts'
import type { DownMessage } from '../../protocol/control/index.ts'
import { identityFromSeed } from '../../protocol/identity/index.ts'
import type { BundleId, GroupId, InstanceId, PeerId, SlotId, Term } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { createNetwork, type Network } from '../../protocol/network/index.ts'
import {
  allocationCodec,
  allocationSecretsCodec,
  createTermKeeper,
} from '../../protocol/orders/index.ts'
import { createPulseKeeper } from '../../protocol/pulse/index.ts'
import { createSigner, isSignedBy, type Signer } from '../../protocol/signing/index.ts'
import { createMemoryStore } from '../../protocol/store/index.ts'
import { startNode, type WorldNode } from './world-node.ts'

export const bundle = 'b'.repeat(64) as BundleId
const beatMs = 5_000
const uuid = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

type Running = Readonly<{
  reconciler: Reconciler
  book: SlotBook
  pulses: Pulses
  sessions: Map<PeerId, PeerState>
  settled: () => boolean
  stop: () => Promise<void>
}>

export class World {
  readonly clock = new FakeClock(1_000_000)
  readonly #store = createMemoryStore()
  readonly groups = new Map<GroupId, GroupRecord>()
  readonly nodes: WorldNode[] = []
  readonly network: Network
  readonly #orders: Signer
  readonly #dir: string
  coordinator: Running | undefined
  /** Nodes whose line is cut, from the coordinator and from one another. */
  readonly cut = new Set<WorldNode>()
  /** Every order that reached a node. */
  ordered = 0
  readonly #underWay = new Set<Promise<void>>()

  private constructor(network: Network, orders: Signer, dir: string) {
    this.network = network
    this.#orders = orders
    this.#dir = dir
  }

  static async open(nodes: number): Promise<World> {
    const made = await createNetwork({
      ...{ name: 'test', coordinatorAddrs: ['/ip4/127.0.0.1/tcp/1'], issuedMs: 0 },
    })
    const dir = await mkdtemp(join(tmpdir(), 'potluck-world-'))
    const world = new World(made.network, createSigner(made.orderSeed), dir)
    for (let count = 0; count < nodes; count++) {
      const { peer } = await identityFromSeed(new Uint8Array(randomBytes(32)))
      const keeper = createTermKeeper(made.network, made.network.certificate)
      world.nodes.push(
        await startNode({
          ...{ peer, keeper, clock: world.clock, dir: join(dir, String(count)) },
          pulses: createPulseKeeper({ keeper, logger: silentLogger }),
          askPeers: (asking) => world.#askPeers(asking),
        }),
      )
    }
    return world
  }

  async close(): Promise<void> {
    await this.stopCoordinator()
    for (const node of this.nodes) await node.close()
    await rm(this.#dir, { recursive: true })
  }

  get nowMs(): number {
    return Math.floor(this.clock.nowMs() + 1_700_000_000_000)
  }

  addGroup(n: number, changes: Partial<GroupRecord> = {}): GroupId {
    const id = uuid(n) as GroupId
    this.groups.set(id, {
      ...{ id, organization: 'acme', organizationId: uuid(1), project: 'web', projectId: uuid(2) },
      ...{ name: `group-${n}`, displayName: '', version: 1, createdMs: 0, updatedMs: 0 },
      ...{ desiredSinceMs: 0, autostart: true, desired: 'running', replicas: 1 },
      container: {
        ...{
          image: 'x',
          milliCpus: 1_000,
          memoryBytes: 2 ** 20,
          storageBytes: 2 ** 30,
          shmBytes: 0,
        },
        ...{ gpuClasses: [], command: [], credentialsGiven: false },
      },
      ...{ restartPolicy: 'always', countryCodes: [], kept: {} },
      extension: { lostAfterMs: 0, orphanAfterMs: 3_600_000, strict: false },
      ...changes,
    })
    return id
  }

  async startCoordinator(): Promise<void> {
    const { clock } = this
    const store = this.#store
    const nowMs = (): number => this.nowMs
    const { network } = this.network
    const term = 1 as Term
    const { leaseMs } = defaultLeaseNumbers
    const signer = createOrderSigner({ signer: this.#orders, network, term, nowMs, leaseMs })
    const book = await openSlotBook({ store })
    const sessions = new Map<PeerId, PeerState>()
    const expected = new Set<PeerId>()
    for (const { placement } of book.slots.values()) if (placement) expected.add(placement.node)
    const settling = createSettling({ startedMs: nowMs(), expected })
    const brake = await openBrakeWatch(defaultLeaseNumbers, {
      ...{ store, sessions: { nodes: sessions }, settling, clock, nowMs, logger: silentLogger },
      ...{ ownChecks: async () => false, onChange: () => reconciler.kick() },
    })
    const pulses = await openPulses(
      { everyMs: beatMs },
      { ...{ store, network, term, nowMs, signer: this.#orders }, logger: silentLogger },
    )
    const placed = (
      slot: SlotId,
      spec: Pick<Placement, 'fence' | 'node' | 'instance' | 'version' | 'resources'>,
      sealed: Parameters<typeof signer.allocation>[0]['sealed'],
      group: GroupRecord,
    ) => {
      const { version: _, ...order } = spec
      const signed = signer.allocation({
        ...{ ...order, slot, bundle, sealed, hints: [], restart: group.restartPolicy },
        ...group.extension,
      })
      const { order: bytes, issuedMs, acceptUntilMs } = signed
      const placement: Placement = {
        ...{ ...spec, bundle, order: bytes, issuedMs, acceptUntilMs, state: 'ordered' },
        stateSinceMs: 0,
      }
      return { placement, signed }
    }
    const reconciler = createReconciler(defaultLeaseNumbers, {
      ...{ book, settling, brake, signer, clock, nowMs, logger: silentLogger },
      ...{
        wallMs: () => 0,
        mayOrder: () => true,
        isHeld: () => false,
        holders: { share() {}, touch() {}, add() {} },
      },
      sessions: { nodes: sessions, send: (peer, message) => this.#send(peer, message) },
      images: { tend() {}, bundleOf: () => bundle },
      groups: {
        all: () => [...this.groups.values()],
        byId: (id) => this.groups.get(id),
        forgetDeleted: async (id) => void this.groups.delete(id),
      },
      builder: {
        restart: () => undefined,
        forget: () => undefined,
        allocate: (record, { node, gpuUuids, group }) => {
          const key = this.#nodeOf(node)?.takeKey()
          if (!key) return undefined
          const fence = nextFence(record, term)
          const instance = crypto.randomUUID() as InstanceId
          const { milliCpus, memoryBytes, storageBytes, shmBytes } = group.container
          const resources = {
            milliCpus,
            memoryBytes,
            storageBytes,
            shmBytes,
            gpuUuids: [...gpuUuids],
          }
          const sealed = signer.sealSecrets(secretsOf(group), key)
          const { version } = group
          return placed(record.slot, { fence, node, instance, version, resources }, sealed, group)
        },
        readopt: (record, { node, instance, version, resources, order }) => {
          const { sealed } = allocationCodec.decode(order.payload)
          const fence = nextFence(record, term)
          const group = this.groups.get(record.slot.split('/')[0] as GroupId) as GroupRecord
          return placed(record.slot, { fence, node, instance, version, resources }, sealed, group)
        },
      },
    })
    reconciler.start()
    this.coordinator = {
      ...{ reconciler, book, pulses, sessions, settled: () => settling.settled },
      async stop() {
        const stopped = reconciler.stop()
        await stopped
        await brake.stop()
      },
    }
  }

  async stopCoordinator(): Promise<void> {
    const running = this.coordinator
    this.coordinator = undefined
    await running?.stop()
  }

  /** Time goes on second by second: nodes look at their leases, and beat when it is their turn. */
  async run(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      await this.clock.advance(1_000)
      for (const [index, node] of this.nodes.entries()) {
        if (node.isDead) continue
        const isTurn = (Math.round(this.clock.nowMs() / 1_000) + index) % (beatMs / 1_000) === 0
        if (isTurn) await this.#beat(node)
        node.allocations.tick()
      }
      await this.#idle()
    }
  }

  /** Slots that run somewhere, and on which nodes. */
  running(): ReadonlyMap<SlotId, readonly WorldNode[]> {
    const found = new Map<SlotId, WorldNode[]>()
    for (const node of this.nodes) {
      for (const { slot, state } of node.isDead ? [] : node.allocations.docket.reports()) {
        if (state === 'running') found.set(slot, [...(found.get(slot) ?? []), node])
      }
    }
    return found
  }

  /** Instances that run, as the tenant knows them. */
  instances(): readonly string[] {
    return this.nodes
      .flatMap((node) => (node.isDead ? [] : node.allocations.docket.reports()))
      .filter(({ state }) => state === 'running')
      .map(({ slot, epoch, instance }) => `${slot} ${epoch} ${instance}`)
      .sort()
  }

  #nodeOf(peer: PeerId): WorldNode | undefined {
    return this.nodes.find((node) => node.peer === peer)
  }

  #askPeers(asking: WorldNode) {
    const answering = this.nodes.filter(
      (node) => node !== asking && !node.isDead && !this.cut.has(node) && !this.cut.has(asking),
    )
    return answering.map(({ peer, pulses }) => ({ network: peer, pulse: pulses.newest?.signed }))
  }

  async #beat(node: WorldNode): Promise<void> {
    const { coordinator } = this
    if (!coordinator || this.cut.has(node)) {
      this.#disconnect(node)
      return
    }
    const { sessions, reconciler, pulses } = coordinator
    const reports = node.allocations.docket.reports()
    let state = sessions.get(node.peer)
    if (!state?.connected) {
      state ??= new PeerState(node.peer, 'node', () => false)
      sessions.set(node.peer, state)
      const hello = { held: node.allocations.docket.held(), bundles: [], capacity: node.lends }
      state.takeHello(hello as never, (signed) =>
        isSignedBy('allocation', signed, this.#orders.publicKey)
          ? allocationCodec.decode(signed.payload)
          : undefined,
      )
      Object.assign(state, { connected: true, helloMs: this.nowMs, household: node.peer })
      state.pool = { size: 8 } as never
    }
    state.takeBeat(reports)
    state.lastSeenMs = this.clock.nowMs()
    const sentMs = this.clock.nowMs()
    const renewals = reconciler.renew(node.peer, { instances: [...reports] })
    const pulse = pulses.now({ settled: reconciler.settled, holding: reconciler.holding })
    reconciler.touchNode(node.peer)
    const others = [...sessions.values()].filter(({ connected }) => connected).length - 1
    await node.answered({ timeMs: this.nowMs, renewals, pulse, others }, sentMs)
  }

  #disconnect(node: WorldNode): void {
    const state = this.coordinator?.sessions.get(node.peer)
    if (!state?.connected) return
    state.connected = false
    this.coordinator?.reconciler.touchNode(node.peer)
  }

  #send(peer: PeerId, message: DownMessage): boolean {
    const node = this.#nodeOf(peer)
    if (!node || node.isDead || this.cut.has(node)) return false
    if (message.type === 'order') {
      this.ordered++
      const taken = node.allocations.offer(message.order).then((answer) => {
        const state = this.coordinator?.sessions.get(peer)
        if (!answer?.refusal || !state) return
        const { slot, term, epoch, refusal } = answer
        state.takeRefusal(slot, { term, epoch }, refusal)
      })
      this.#await(taken)
    }
    if (message.type === 'revoke') {
      this.#await(node.allocations.revoke(message.revocation).catch(() => undefined))
    }
    return true
  }

  /** Keys lie on a real disk, which must not take fake seconds. */
  #await(work: Promise<void>): void {
    this.#underWay.add(work)
    void work.finally(() => this.#underWay.delete(work))
  }

  /** Lets all that is under way come to rest; what waits for the clock alone is left to it. */
  async #idle(): Promise<void> {
    const settled = Promise.all(this.#underWay)
    for (let turns = 0; turns < 200 && this.#underWay.size > 0; turns++) {
      await Promise.race([settled, new Promise((resolve) => setTimeout(resolve, 1))])
    }
    for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setImmediate(resolve))
  }
}

function secretsOf(group: GroupRecord): Uint8Array {
  const { organization, organizationId, project, projectId, name, id } = group
  return allocationSecretsCodec.encode({
    ...{ v: 1, manifest: new Uint8Array(2), manifestDigest: `sha256:${'d'.repeat(64)}` as never },
    ...{ mediaType: 'application/vnd.oci.image.manifest.v1+json', blobs: [], env: {} },
    ...{ command: [], organization, organizationId, project, projectId, group: name, groupId: id },
  })
}
