/** The API over a real store and a control plane that observes what a test tells it. */
import { expect } from 'chai'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import { Compile } from 'typebox/compile'
import { createAddressPolicy } from '../../protocol/address/index.ts'
import { FakeClock } from '../../protocol/clock.ts'
import type { GroupId, InstanceId } from '../../protocol/ids.ts'
import { type Logger, silentLogger } from '../../protocol/log/index.ts'
import { createMemoryStore, type Store } from '../../protocol/store/index.ts'
import { banBench } from '../bans/ban-book.fixture.ts'
import { noAudit } from '../bans/index.ts'
import { type Chefs, openChefs } from '../chefs/index.ts'
import { createEndpoints } from '../endpoints/index.ts'
import {
  type ControlPlaneView,
  createGroups,
  type FreeNode,
  type Groups,
  type ImageView,
  type InstanceView,
  machineIdOf,
  type PlacementView,
} from '../groups/index.ts'
import { createLedger, createPrices } from '../ledger/index.ts'
import { defaultPrices } from '../ledger/ledger.fixture.ts'
import { createQueues, openJobs, type Queues } from '../queues/index.ts'
import { createSealer } from '../secrets/index.ts'
import { openSecurityReview, type SecurityReview } from '../security/index.ts'
import type { NodeListing } from '../sessions/index.ts'
import { openSystemLog, type SystemLog } from '../system-log/index.ts'
import { createTenants, type Tenants } from '../tenants/index.ts'
import { openWebhookSecretKeys } from '../webhooks/index.ts'
import type { AdminAct } from './admin/index.ts'
import { watchAnswers } from './answers.fixture.ts'
import { type ApiSettings, createApi, type Health } from './index.ts'
import { ProblemSchema } from './problems.ts'
import type { BillingDesk } from './routes/billing.ts'

export type FakeView = ControlPlaneView & {
  readonly images: Map<GroupId, ImageView>
  readonly running: Map<GroupId, InstanceView[]>
  problem: string | undefined
  lent: FreeNode[]
  placement: PlacementView | undefined
}

export function createFakeView(): FakeView {
  const images = new Map<GroupId, ImageView>()
  const running = new Map<GroupId, InstanceView[]>()
  const change = (id: InstanceId, changes: Partial<InstanceView>): void => {
    for (const [group, instances] of running) {
      const next = instances.map((item) => (item.id === id ? { ...item, ...changes } : item))
      running.set(group, next)
    }
  }
  const view: FakeView = {
    images,
    running,
    problem: undefined,
    lent: [],
    placement: undefined,
    instances: (group) => running.get(group) ?? [],
    image: (group) => images.get(group),
    placementProblem: () => view.problem,
    explain: () => view.placement,
    capacity: () => {
      const none = { milliCpus: 0, memoryBytes: 0, storageBytes: 0, gpus: 0 }
      return { nodes: 0, nodesConnected: 0, ...none }
    },
    nodes: () => view.lent,
    setDeletionCost: async (id, deletionCost) => change(id, { deletionCost }),
    reallocate: async (id) => change(id, { state: 'stopping' }),
    recreate: async (id) => change(id, { state: 'creating' }),
    restart: async (id) => change(id, { restarts: 1 }),
  }
  return view
}

const node = '12D3KooWGRUyUmLcYH9LPiJwjkWBNBVdQdzBq3VLUsrPBBuX4yqK' as InstanceView['node']

export function fakeInstance(slot: number, changes: Partial<InstanceView> = {}): InstanceView {
  return {
    id: `00000000-0000-4000-8000-${String(slot).padStart(12, '0')}` as InstanceId,
    slot,
    term: 1 as InstanceView['term'],
    epoch: 1 as InstanceView['epoch'],
    node,
    machineId: machineIdOf(node),
    state: 'running',
    updatedMs: 1_700_000_000_000,
    version: 1,
    ready: true,
    started: true,
    bytesTotal: 3_000,
    bytesDone: 1_000,
    bytesFromCaches: 400,
    bytesFromPeers: 600,
    bytesServed: 0,
    restarts: 0,
    deletionCost: 0,
    ...changes,
  }
}

export type TestApi = Readonly<{
  app: FastifyInstance
  groups: Groups
  queues: Queues
  systemLog: SystemLog
  tenants: Tenants
  view: FakeView
  store: Store
  key: string
  foreignKey: string
  adminKey: string
  chefs: Chefs
  /** What the admin API shows of nodes. */
  nodes: NodeListing[]
  /** What operators did. */
  acts: AdminAct[]
  security: SecurityReview
  /** With the key of `acme`, and JSON bodies. */
  call(method: string, path: string, body?: unknown, options?: InjectOptions): Promise<Answer>
  /** With the admin key, below /api/admin. */
  admin(method: string, path: string, body?: unknown, options?: InjectOptions): Promise<Answer>
}>
export type Answer = LightMyRequestResponse

/** `/organizations/acme/projects/web/containers`, where most tests work. */
export const containers = '/organizations/acme/projects/web/containers'

export async function startApi({
  settings = {},
  store = createMemoryStore(),
  logger = silentLogger,
  wallNowMs = Date.now,
  catalogue = [],
  health,
  accrued = () => [],
  nowMs = () => Date.UTC(2026, 1, 15),
}: Readonly<{
  settings?: Partial<ApiSettings>
  store?: Store
  logger?: Logger
  wallNowMs?: () => number
  /** Of inference endpoints. */
  catalogue?: readonly object[]
  health?: Health
  accrued?: BillingDesk['accrued']
  nowMs?: () => number
}> = {}): Promise<TestApi> {
  const sealer = createSealer([{ id: '00000001', key: Buffer.alloc(32, 7) }])
  const tenants = await createTenants({ store, nowMs: wallNowMs })
  for (const organization of ['acme', 'globex']) await tenants.ensureProject(organization, 'web')
  const { key } = await tenants.makeKey('acme', 'test')
  const { key: foreignKey } = await tenants.makeKey('globex', 'test')
  const { key: adminKey } = await tenants.makeAdminKey('test')
  const { quotaOf } = tenants
  const groups = await createGroups({ replicasQuota: 1_000 }, { store, sealer, logger, quotaOf })
  const chefs = await openChefs({ store, nowMs: wallNowMs })
  const nodes: NodeListing[] = []
  const acts: AdminAct[] = []
  const bench = await banBench()
  const bans = await bench.open()
  const security = await openSecurityReview({
    ...{ store, bans, runsOn: () => true, audit: noAudit, logger },
    ...{ clockMs: () => bench.clock.nowMs(), nowMs: () => bench.clock.nowMs() },
  })
  const jobs = await openJobs({}, { store })
  const queues = await createQueues({}, { store, jobs })
  const view = createFakeView()
  const addresses = createAddressPolicy()
  const endpoints = createEndpoints(catalogue)
  const webhookKeys = await openWebhookSecretKeys({ store, sealer })
  const wallMs = Date.now
  const clock = new FakeClock()
  const systemLog = await openSystemLog({ store, groups, clock, wallMs, logger })
  const all = { ratePerMinute: 0, ...settings }
  const ledger = createLedger({ heldDays: 7 }, { store, nowMs })
  const billing = { usage: ledger.usage, accrued, nowMs }
  const prices = createPrices(defaultPrices)
  const app = await createApi({
    ...{ groups, queues, endpoints, tenants, view, addresses, webhookKeys, systemLog, logger },
    ...{ settings: all, prices, billing, ...(health && { health }) },
    admin: {
      ...{ chefs, nodes: () => nodes, onAct: (act) => acts.push(act) },
      ...{ bans, security, reputation: { suspects: () => [] }, nameOf: () => undefined },
    },
  })
  watchAnswers(app)
  const callWith =
    (prefix: string, ownKey: string): TestApi['call'] =>
    (method, path, body, options = {}) =>
      app.inject({
        method: method as 'GET',
        url: `${prefix}${path}`,
        ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
        ...options,
        headers: {
          'salad-api-key': ownKey,
          ...(body === undefined
            ? {}
            : {
                'content-type':
                  method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
              }),
          ...options.headers,
        },
      })
  const [call, admin] = [callWith('/api/public', key), callWith('/api/admin', adminKey)]
  return {
    ...{ app, groups, queues, systemLog, tenants, view, store, key, foreignKey, call },
    ...{ adminKey, chefs, nodes, acts, admin, security },
  }
}

/** A valid body of a POST. Containers may be changed field by field. */
export function groupBody(
  changes: Readonly<Record<string, unknown>> = {},
  container: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    name: 'hello',
    autostart_policy: true,
    replicas: 2,
    restart_policy: 'always',
    container: {
      image: 'registry.example/acme/hello:1',
      resources: { cpu: 1, memory: 1_024 },
      ...container,
    },
    ...changes,
  }
}

const isProblem = Compile(ProblemSchema)

export type ProblemJson = Readonly<{
  detail: string
  instance: string
  errors: Readonly<Record<string, readonly string[]>>
}>

/** Holds every failed answer to the form that SaladCloud's SDK can type. */
export function expectProblem(answer: Answer, status: number, code: string): ProblemJson {
  expect(answer.statusCode, answer.body).to.equal(status)
  expect(answer.headers['content-type']).to.equal('application/problem+json')
  const problem = answer.json()
  expect(isProblem.Check(problem), answer.body).to.equal(true)
  expect(problem).to.include({ status, code })
  return problem
}
