/** The API over a real store and a control plane that observes what a test tells it. */
import { expect } from 'chai'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import { Compile } from 'typebox/compile'
import type { GroupId, InstanceId } from '../../protocol/ids.ts'
import { type Logger, silentLogger } from '../../protocol/log/index.ts'
import { createMemoryStore, type Store } from '../../protocol/store/index.ts'
import {
  type ControlPlaneView,
  createGroups,
  type Groups,
  type ImageView,
  type InstanceView,
  machineIdOf,
  NotOfferedError,
} from '../groups/index.ts'
import { createLedger, createPrices } from '../ledger/index.ts'
import { defaultPrices } from '../ledger/ledger.fixture.ts'
import { createSealer } from '../secrets/index.ts'
import { createTenants, type Tenants } from '../tenants/index.ts'
import { type ApiSettings, createApi, type Health } from './index.ts'
import { ProblemSchema } from './problems.ts'
import type { BillingDesk } from './routes/billing.ts'

export type FakeView = ControlPlaneView & {
  readonly images: Map<GroupId, ImageView>
  readonly running: Map<GroupId, InstanceView[]>
  problem: string | undefined
}

export function createFakeView(): FakeView {
  const images = new Map<GroupId, ImageView>()
  const running = new Map<GroupId, InstanceView[]>()
  const refuse = (what: string) => () => Promise.reject(new NotOfferedError(what))
  const view: FakeView = {
    images,
    running,
    problem: undefined,
    instances: (group) => running.get(group) ?? [],
    image: (group) => images.get(group),
    placementProblem: () => view.problem,
    capacity: () => {
      const none = { milliCpus: 0, memoryBytes: 0, storageBytes: 0, gpus: 0 }
      return { nodes: 0, nodesConnected: 0, ...none }
    },
    reallocate: refuse('reallocate'),
    recreate: refuse('recreate'),
    restart: refuse('restart'),
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
    ...changes,
  }
}

export type TestApi = Readonly<{
  app: FastifyInstance
  groups: Groups
  tenants: Tenants
  view: FakeView
  store: Store
  key: string
  foreignKey: string
  /** With the key of `acme`, and JSON bodies. */
  call(method: string, path: string, body?: unknown, options?: InjectOptions): Promise<Answer>
}>
export type Answer = LightMyRequestResponse

/** `/organizations/acme/projects/web/containers`, where most tests work. */
export const containers = '/organizations/acme/projects/web/containers'

export async function startApi({
  settings = {},
  store = createMemoryStore(),
  logger = silentLogger,
  health,
  accrued = () => [],
  nowMs = () => Date.UTC(2026, 1, 15),
}: Readonly<{
  settings?: Partial<ApiSettings>
  store?: Store
  logger?: Logger
  health?: Health
  accrued?: BillingDesk['accrued']
  nowMs?: () => number
}> = {}): Promise<TestApi> {
  const sealer = createSealer([{ id: '00000001', key: Buffer.alloc(32, 7) }])
  const tenants = await createTenants({ store })
  for (const organization of ['acme', 'globex']) await tenants.ensureProject(organization, 'web')
  const { key } = await tenants.makeKey('acme', 'test')
  const { key: foreignKey } = await tenants.makeKey('globex', 'test')
  const groups = await createGroups({ replicasQuota: 1_000 }, { store, sealer, logger })
  const view = createFakeView()
  const all = { ratePerMinute: 0, ...settings }
  const ledger = createLedger({ heldDays: 7 }, { store, nowMs })
  const billing = { usage: ledger.usage, accrued, nowMs }
  const prices = createPrices(defaultPrices)
  const app = await createApi({
    groups,
    tenants,
    view,
    prices,
    billing,
    logger,
    settings: all,
    ...(health && { health }),
  })
  const call: TestApi['call'] = (method, path, body, options = {}) =>
    app.inject({
      method: method as 'GET',
      url: `/api/public${path}`,
      ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
      ...options,
      headers: {
        'salad-api-key': key,
        ...(body === undefined
          ? {}
          : {
              'content-type':
                method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
            }),
        ...options.headers,
      },
    })
  return { app, groups, tenants, view, store, key, foreignKey, call }
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
