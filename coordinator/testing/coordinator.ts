/** A whole coordinator in this process, on loopback, with throwaway state and short leases. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { identityFromSeed, writeSeed } from '../../protocol/identity/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { type Logger, silentLogger } from '../../protocol/log/index.ts'
import {
  createNetwork,
  formatNetworkFile,
  type Network,
  raiseTerm,
  readNetworkFile,
} from '../../protocol/network/index.ts'
import { createSigner } from '../../protocol/signing/index.ts'
import { createAnswerCheck, type OpenApi } from '../api/answers.fixture.ts'
import { run } from '../index.ts'
import { defaultPrices } from '../ledger/ledger.fixture.ts'
import type { LeaseNumbers } from '../slots/index.ts'

/** Short, so that a lapse takes a second or two of a test's time. */
export const shortLeases: LeaseNumbers = { leaseMs: 1_000, skewMs: 200, guardMs: 1_000 }

export type TestNetwork = Readonly<{
  network: Network
  dataDir: string
  /** Another term, with another order key, for the next start. */
  raiseTerm(): Promise<Network>
  remove(): Promise<void>
}>

export async function createTestNetwork(): Promise<TestNetwork> {
  const dataDir = await mkdtemp(join(tmpdir(), 'potluck-coordinator-'))
  const made = await createNetwork({
    name: 'test',
    coordinatorAddrs: ['/ip4/127.0.0.1/tcp/1'],
    householdPerAddress: ['127.0.0.0/8'],
    issuedMs: Date.now(),
  })
  await writeSeed(join(dataDir, 'identity.key'), made.coordinatorSeed)
  await writeSeed(join(dataDir, 'order.key'), made.orderSeed)
  await writeFile(join(dataDir, 'network.json'), formatNetworkFile(made.network))
  return {
    network: made.network,
    dataDir,
    async raiseTerm() {
      const path = join(dataDir, 'network.json')
      const orderSeed = new Uint8Array(randomBytes(32))
      const raised = raiseTerm(await readNetworkFile(path), {
        ...{ rootSeed: made.rootSeed, issuedMs: Date.now() },
        coordinator: (await identityFromSeed(made.coordinatorSeed)).peer,
        orderKey: createSigner(orderSeed).publicKey,
      })
      await writeSeed(join(dataDir, 'order.key'), orderSeed)
      await writeFile(path, formatNetworkFile(raised))
      return raised
    },
    remove: () => rm(dataDir, { recursive: true, force: true }),
  }
}

export type TestAnswer = Readonly<{ status: number; body: Record<string, unknown> }>

export type TestCoordinator = Readonly<{
  addresses: readonly string[]
  /** URL, when asked for. */
  metrics: string | undefined
  /** `http://127.0.0.1:port` */
  origin: string
  request(method: string, path: string, body?: unknown): Promise<TestAnswer>
  /** The same with the admin key, below /api/admin. */
  admin(method: string, path: string, body?: unknown): Promise<TestAnswer>
  stop(): Promise<void>
}>

export async function startCoordinator(
  { dataDir }: TestNetwork,
  init: Readonly<{
    caches?: readonly PeerId[]
    reconnectWindowMs?: number
    /** The same over a restart, so that peers find it again. */
    port?: number
    numbers?: LeaseNumbers
    logger?: Logger
    countriesFile?: string
    metrics?: boolean
  }> = {},
): Promise<TestCoordinator> {
  const controller = new AbortController()
  const ready = Promise.withResolvers<Readonly<Record<string, unknown>>>()
  const running = run(
    {
      dataDir,
      network: join(dataDir, 'network.json'),
      listen: [`/ip4/127.0.0.1/tcp/${init.port ?? 0}`],
      announce: [],
      caches: [...(init.caches ?? [])],
      api: { host: '127.0.0.1', port: 0, ratePerMinute: 0, trustProxy: false },
      metrics: { enabled: init.metrics ?? false, host: '127.0.0.1', port: 0, names: [] },
      prices: defaultPrices,
      tenants: ['default/default'],
      replicasQuota: 1_000,
      reconnectWindowMs: init.reconnectWindowMs ?? 3_000,
      preemptAfterMs: 1_800_000,
      regions: ['local'],
      trust: { probationMs: 86_400_000, householdNodes: 32, householdAllocations: 64 },
      testbed: true,
      ...(init.countriesFile ? { countriesFile: init.countriesFile } : {}),
    },
    { signal: controller.signal, logger: init.logger ?? silentLogger, onReady: ready.resolve },
    { numbers: init.numbers ?? shortLeases },
  )
  running.catch(ready.reject)
  const info = await ready.promise
  const document = await fetch(new URL('/docs/json', String(info.baseUrl)))
  const check = createAnswerCheck((await document.json()) as OpenApi)
  const keyIn = async (...place: string[]): Promise<string> =>
    (await readFile(join(dataDir, ...place), 'utf8')).trim()
  const [apiKey, adminKey] = [await keyIn('api-keys', 'default'), await keyIn('admin-key')]
  const origin = String(info.baseUrl).replace(/\/api\/public$/, '')
  const send = async (
    ...[url, key, method, body]: [url: string, key: string, method: string, body: unknown]
  ): Promise<TestAnswer> => {
    const patch = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
    const response = await fetch(url, {
      method,
      headers: {
        'Salad-Api-Key': key,
        ...(body === undefined ? {} : { 'Content-Type': patch }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const { pathname } = new URL(response.url)
    const mediaType = response.headers.get('content-type') ?? ''
    const { status } = response
    const broken = check({ method, url: pathname, status, mediaType, body: text })
    if (broken) throw new Error(`${method} ${url}: ${broken}: ${text.slice(0, 300)}`)
    return { status: response.status, body: text === '' ? {} : JSON.parse(text) }
  }
  return {
    addresses: info.addresses as string[],
    metrics: info.metrics as string | undefined,
    origin,
    request: (method, path, body) => send(`${info.baseUrl}${path}`, apiKey, method, body),
    admin: (method, path, body) => send(`${origin}/api/admin${path}`, adminKey, method, body),
    async stop() {
      controller.abort()
      await running
    },
  }
}

export const containersPath = '/organizations/default/projects/default/containers'

export function groupBody(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    name: 'hello',
    container: {
      image: 'registry.example/acme/hello:1',
      resources: { cpu: 1, memory: 1_024, storage_amount: 2 ** 30 },
    },
    autostart_policy: true,
    restart_policy: 'always',
    replicas: 1,
    ...changes,
  }
}

/** Waits until `probe` gives something; asks often, because tests should be fast. */
export async function eventually<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 10_000,
): Promise<T> {
  const endMs = performance.now() + timeoutMs
  for (;;) {
    const found = await probe()
    if (found !== undefined && found !== false) return found
    if (performance.now() > endMs) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
