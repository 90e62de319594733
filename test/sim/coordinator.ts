/**
 * The coordinator of the simulation: its control plane whole, over a simulated disk and host. What
 * it promised is read from its own records; what it knows is not helped by the world.
 */
import { openAuditLog } from '../../coordinator/audit/index.ts'
import { openBanBook, sinkOf } from '../../coordinator/bans/index.ts'
import { openChefs } from '../../coordinator/chefs/index.ts'
import { type ControlPlane, startControlPlane } from '../../coordinator/control-plane.ts'
import {
  createGroups,
  type GroupInput,
  type GroupRecord,
  type Groups,
} from '../../coordinator/groups/index.ts'
import { createLedger, createPrices } from '../../coordinator/ledger/index.ts'
import { defaultPrices as prices } from '../../coordinator/ledger/ledger.fixture.ts'
import { type Lists, openLists } from '../../coordinator/orders/index.ts'
import { defaultLeaseNumbers } from '../../coordinator/reconciler/index.ts'
import { createSealer } from '../../coordinator/secrets/index.ts'
import { createCoordinatorClock } from '../../coordinator/time/index.ts'
import type { Identity } from '../../protocol/identity/index.ts'
import type { GroupId, PeerId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import type { Network } from '../../protocol/network/index.ts'
import { openTermCertificate } from '../../protocol/orders/index.ts'
import type { Signer } from '../../protocol/signing/index.ts'
import type { Disk } from './world/disk.ts'
import type { Machine, MachineLife } from './world/machine.ts'
import type { SimNetwork } from './world/network.ts'

type GroupExtension = GroupRecord['extension']

export type SimCoordinatorInit = Readonly<{
  machine: Machine
  identity: Identity
  orderSigner: Signer
  network: Network
  internet: SimNetwork
  disk: Disk
  caches: readonly PeerId[]
  random: () => number
}>

const sealer = createSealer([{ id: '00000001', key: Buffer.alloc(32, 7) }])
const scope = {
  organization: 'acme',
  organizationId: '00000000-0000-4000-8000-000000000001',
  project: 'web',
  projectId: '00000000-0000-4000-8000-000000000002',
}

const probationMs = 0
const householdLimits = { nodesMax: 16, allocationsMax: 16 }

export class SimCoordinator {
  readonly machine: Machine
  readonly #init: SimCoordinatorInit
  #life: MachineLife | undefined
  #plane: ControlPlane | undefined
  #groups: Groups | undefined
  #disk: Disk
  readonly #extensions = new Map<GroupId, GroupExtension>()
  /** What tenants were told is so, and what they asked for since without an answer. */
  readonly #promised = new Map<GroupId, { replicas: number; readonly asked: Set<number> }>()

  constructor(init: SimCoordinatorInit) {
    this.#init = init
    this.#disk = init.disk
    this.machine = init.machine
  }

  get isUp(): boolean {
    return this.#life?.alive === true
  }

  get plane(): ControlPlane | undefined {
    return this.isUp ? this.#plane : undefined
  }

  get groups(): Groups | undefined {
    return this.isUp ? this.#groups : undefined
  }

  async start(): Promise<void> {
    const { machine, identity, orderSigner, network, internet, caches, random } = this.#init
    const life = machine.begin()
    this.#life = life
    const { clock } = life
    const store = this.#disk.open(life)
    const certificate = openTermCertificate(network.certificate, network)
    const wallMs = (): number => 1_700_000_000_000 + machine.timeline.nowMs
    const logger = silentLogger
    const time = await createCoordinatorClock({
      ...{ store, clock, bootId: machine.bootId, wallMs, logger },
    })
    const nowMs = (): number => time.nowMs()
    const groups = await createGroups(
      { replicasQuota: 1_000_000 },
      { store, sealer, logger, wallNowMs: wallMs, newId: () => uuidOf(random) },
    )
    const lists: Lists = await openLists(
      { caches },
      { store, sealer, signer: orderSigner, ...certificate, nowMs },
    )
    const { network: id, term } = certificate
    const audit = await openAuditLog(
      { network: id, term, certificate: network.certificate },
      { store, signer: orderSigner, nowMs, logger },
    )
    const bans = await openBanBook({
      ...{ store, signer: orderSigner, network: id, term },
      ...{ clock, nowMs, audit: sinkOf(audit), logger },
      isTrusted: (peer) => lists.isCache(peer) || peer === certificate.coordinator,
    })
    const host = internet.host({ peer: identity.peer, machine, life })
    this.#plane = await startControlPlane(
      {
        ...{ network, certificate, numbers: defaultLeaseNumbers, probationMs, householdLimits },
        ...{ countries: [], chefPercent: prices.chefPercent },
      },
      {
        ...{ store, sealer, mesh: host.mesh, lists, bans, groups, orderSigner, audit },
        ...{ clock, nowMs, wallMs, logger, onSlot: () => undefined },
        chefs: await openChefs({ store }),
        ledger: createLedger(prices, { store, nowMs }),
        prices: createPrices(prices),
      },
    )
    this.#groups = groups
  }

  crash(): void {
    this.#life?.end('killed')
  }

  /** A tenant's request; kept to once it was answered. */
  async create(input: GroupInput): Promise<void> {
    const { id, replicas } = await this.#ready().create(scope, input)
    this.#promised.set(id, { replicas, asked: new Set() })
  }

  async scale(name: string, replicas: number): Promise<void> {
    const groups = this.#ready()
    const promised = this.#promised.get(groups.get(scope, name).id)
    promised?.asked.add(replicas)
    await groups.update(scope, name, () => ({ replicas }))
    if (!promised) return
    promised.replicas = replicas
    promised.asked.clear()
  }

  async update(name: string, image: string): Promise<void> {
    await this.#ready().update(scope, name, () => ({ container: { image } }))
  }

  /** What a group said of itself when it was created; remembered while the coordinator is down. */
  extensionOf(group: GroupId): GroupExtension {
    const known = this.groups?.byId(group)?.extension ?? this.#extensions.get(group)
    if (!known) throw new Error(`group ${group} was never created`)
    this.#extensions.set(group, known)
    return known
  }

  /** Promises that its records do not keep, for people; none while it is down. */
  broken(): readonly string[] {
    const { groups } = this
    if (!groups) return []
    return [...this.#promised].flatMap(([id, { replicas, asked }]) => {
      const kept = groups.byId(id)?.replicas
      if (kept === undefined) return [`group ${id} is lost`]
      return kept === replicas || asked.has(kept) ? [] : [`${id}: ${replicas} became ${kept}`]
    })
  }

  #ready(): Groups {
    if (!this.#groups || !this.isUp) throw new Error('the coordinator is down')
    return this.#groups
  }
}

/** Version 4, drawn from the seed: where a slot is looked for first depends on its group's id. */
function uuidOf(random: () => number): string {
  const bytes = Buffer.from(Array.from({ length: 16 }, () => Math.floor(random() * 256)))
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return [
    [0, 8],
    [8, 12],
    [12, 16],
    [16, 20],
    [20, 32],
  ]
    .map(([a, b]) => hex.slice(a, b))
    .join('-')
}
