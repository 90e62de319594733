/**
 * The coordinator as a process: what `potluck coordinator run` runs. It opens all that it needs in
 * order and closes it in reverse, also when a start fails halfway.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createAddressPolicy } from '../protocol/address/index.ts'
import { bootId, type Clock, systemClock } from '../protocol/clock.ts'
import type { ConfigProblem } from '../protocol/config/index.ts'
import { PotluckError } from '../protocol/errors.ts'
import { loadSeed, peerIdOfPublicKey } from '../protocol/identity/index.ts'
import type { GroupId, PeerId } from '../protocol/ids.ts'
import type { Logger } from '../protocol/log/index.ts'
import { createAdvertFeed, createMesh, type Region } from '../protocol/mesh/index.ts'
import { startMetricsServer } from '../protocol/metrics/index.ts'
import { startHelper } from '../protocol/nat/index.ts'
import { type Network, readNetworkFile } from '../protocol/network/index.ts'
import { openTermCertificate, type TermCertificate } from '../protocol/orders/index.ts'
import { createSigner } from '../protocol/signing/index.ts'
import { createLevelStore } from '../protocol/store/index.ts'
import { apiPrefix, createApi } from './api/index.ts'
import { auditedStore, openAuditLog, tenantActs } from './audit/index.ts'
import { openBanBook, sinkOf } from './bans/index.ts'
import { openChefs } from './chefs/index.ts'
import type { CoordinatorConfig } from './config.ts'
import { startControlPlane } from './control-plane.ts'
import { readEndpoints } from './endpoints/index.ts'
import { createGroups, type Groups, slotsWanted } from './groups/index.ts'
import { createHealth } from './health.ts'
import { createLedger, createPrices, priceProblems } from './ledger/index.ts'
import { createApiRequests, defineCoordinatorMetrics } from './metrics/index.ts'
import { openLists } from './orders/index.ts'
import { createQueues, openJobs } from './queues/index.ts'
import { defaultLeaseNumbers } from './reconciler/index.ts'
import { NotInForceError } from './restore/index.ts'
import { startScheduledScaling } from './scaling/index.ts'
import { openSealer } from './secrets/index.ts'
import { readCountries } from './sessions/index.ts'
import type { LeaseNumbers } from './slots/index.ts'
import { openSystemLog } from './system-log/index.ts'
import { bootstrapTenants, createTenants, type TenantInit } from './tenants/index.ts'
import { createCoordinatorClock } from './time/index.ts'
import { openWebhookSecretKeys } from './webhooks/index.ts'

export { type CoordinatorConfig, configSchema } from './config.ts'

export type RunContext = Readonly<{
  /** Aborted: stop cleanly, then resolve. */
  signal: AbortSignal
  logger: Logger
  onReady: (info: Readonly<Record<string, unknown>>) => void
}>

/** What a test replaces. */
export type RunComponents = Readonly<{ clock?: Clock; numbers?: LeaseNumbers }>

/** The key files are not those of the network file's certificate. */
export class WrongKeyError extends PotluckError {
  constructor(file: string, what: string) {
    super('WRONG_KEY', `${file}: not the ${what} that the network file certifies`, {
      fields: { file },
    })
  }
}

/** What no schema says of the settings. */
export function checkConfig({ prices }: CoordinatorConfig): ConfigProblem[] {
  return priceProblems(prices)
}

/** Runs until `signal`; resolves when all is closed. */
export async function run(
  config: CoordinatorConfig,
  { signal, logger, onReady }: RunContext,
  { clock = systemClock, numbers = defaultLeaseNumbers }: RunComponents = {},
): Promise<void> {
  const wallMs = (): number => Date.now()
  const network = await readNetworkFile(config.network)
  const certificate = openTermCertificate(network.certificate, network)
  const { identitySeed, orderSigner } = await loadKeys(config, certificate)

  await using stack = new AsyncDisposableStack()
  await mkdir(config.dataDir, { recursive: true, mode: 0o700 })
  const store = await createLevelStore({ path: join(config.dataDir, 'store') })
  stack.defer(() => store.close())
  const sealer = await openSealer(
    { file: config.secretsKey ?? join(config.dataDir, 'secrets.key') },
    { store },
  )
  const time = await createCoordinatorClock({ store, clock, bootId: bootId(), wallMs, logger })
  stack.defer(() => time.stop())
  const nowMs = (): number => time.nowMs()

  const audit = await openAuditLog(
    { network: network.network, term: certificate.term, certificate: network.certificate },
    { store, signer: orderSigner, nowMs, logger },
  )
  await audit.record([
    {
      kind: 'start',
      by: 'operator',
      facts: { term: certificate.term, peer: certificate.coordinator },
    },
  ])
  const tenants = await createTenants({ store: auditedStore(tenantActs, { store, audit }), logger })
  const wanted = tenantsOf(config)
  const adminKeyFile = config.adminKeyFile ?? join(config.dataDir, 'admin-key')
  await bootstrapTenants({ wanted, adminKeyFile }, { tenants, logger })
  const chefs = await openChefs({ store: auditedStore(tenantActs, { store, audit }) })
  const countries = config.countriesFile ? await readCountries(config.countriesFile) : []
  const groups = await createGroups(
    { replicasQuota: config.replicasQuota },
    { store, sealer, logger, wallNowMs: wallMs, quotaOf: tenants.quotaOf },
  )
  const jobs = await openJobs({}, { store, wallNowMs: wallMs })
  const queues = await createQueues({}, { store, jobs, wallNowMs: wallMs })
  const systemLog = await openSystemLog({ store, groups, clock, wallMs, logger })
  stack.defer(() => systemLog.stop())
  const endpoints = await readEndpoints(config.inferenceEndpoints)
  const lists = await openLists(
    { caches: config.caches as PeerId[] },
    { store, sealer, signer: orderSigner, ...certificate, nowMs },
  )
  const bans = await openBanBook({
    ...{ store, signer: orderSigner, network: certificate.network, term: certificate.term },
    ...{ clock, nowMs, audit: sinkOf(audit), logger },
    isTrusted: (peer) => lists.isCache(peer) || peer === certificate.coordinator,
  })
  stack.defer(() => bans.stop())
  const mesh = await createMesh(
    {
      ...{ role: 'coordinator', seed: identitySeed, listen: config.listen },
      ...{ announce: config.announce, testbed: config.testbed },
      regions: config.regions as Region[],
    },
    {
      banned: (peer) => bans.isBanned(peer),
      relaysFor: (peer) => plane.isMember(peer),
      logger,
    },
  )
  stack.defer(() => mesh.stop())
  // Placement goes by what nodes say on their own streams; gossip needs somebody who passes it on.
  const feed = createAdvertFeed(
    {
      regions: config.regions as Region[],
      onAdvert: ({ peer, load, gpus }) =>
        logger.debug({ peer, load, gpus: gpus.length }, 'a node published its capacity'),
    },
    { mesh, logger },
  )
  stack.defer(() => feed.stop())
  const prices = createPrices(config.prices)
  const ledger = createLedger(config.prices, { store, nowMs })
  const plane = await startControlPlane(
    {
      ...{ network, certificate, numbers, countries, reconnectWindowMs: config.reconnectWindowMs },
      ...trustOf(config),
      preemptAfterMs: config.preemptAfterMs,
      chefPercent: config.prices.chefPercent,
    },
    {
      ...{ store, sealer, mesh, lists, bans, groups, chefs, orderSigner, audit, ledger, prices },
      ...{ clock, nowMs, wallMs, logger },
      onSlot: (before, after) => systemLog.onSlot(before, after),
    },
  )
  stack.defer(() => plane.stop())
  const scaling = startScheduledScaling({ groups, clock, wallMs, logger })
  stack.defer(() => scaling.stop())
  const stopHelper = await startHelper(
    { allowPrivate: config.testbed },
    {
      signer: createSigner(identitySeed),
      isMember: (peer) => plane.isMember(peer),
      ...{ mesh, clock, wallMs, logger },
    },
  )
  stack.defer(stopHelper)
  const health = createHealth({
    ...{ store, clock, settled: () => plane.settled },
    inForce: () => plane.authority.doubt === undefined,
  })
  const requests = createApiRequests()
  const api = await createApi({
    ...{ health, onAnswered: requests.add },
    ...{ logger, tenants, groups, queues, endpoints, systemLog, prices, view: plane.view },
    billing: { usage: ledger.usage, accrued: plane.accrued, nowMs },
    webhookKeys: await openWebhookSecretKeys({ store, sealer, wallNowMs: wallMs }),
    addresses: createAddressPolicy({
      allow: config.allowAddresses ?? [],
      setting: "the coordinator's allowAddresses",
    }),
    checkWrite() {
      const { doubt } = plane.authority
      if (doubt) throw new NotInForceError(doubt)
    },
    admin: {
      ...{ chefs, nodes: plane.nodes, bans, nameOf: groupNames(groups) },
      ...{ security: plane.security, reputation: plane.reputation },
      onAct(act) {
        logger.info({ act }, 'an operator acted')
        const { operation, keyId, at, status, requestId } = act
        audit
          .record([
            { kind: 'admin', by: `key ${keyId}`, facts: { operation, ...at, status, requestId } },
          ])
          .catch((error: unknown) => logger.error({ act, error }, 'an act is not in the audit log'))
      },
    },
    settings: {
      ratePerMinute: config.api.ratePerMinute,
      replicasQuota: config.replicasQuota,
      trustProxy: config.api.trustProxy,
    },
  })
  // Requests end before what they rely on does.
  stack.defer(() => api.close())
  const url = await api.listen({ host: config.api.host, port: config.api.port })
  const metrics = await startMetricsServer(config.metrics, {
    define: (series) =>
      defineCoordinatorMetrics(series, {
        ...plane.observed,
        ...{ requests, audit, ledger, settled: () => plane.settled },
        slotsWanted: () => groups.all().reduce((sum, group) => sum + slotsWanted(group), 0),
      }),
    logger,
  })
  stack.defer(() => metrics?.stop())
  if (!signal.aborted) {
    const info = readyInfo(config, { network, wanted, adminKeyFile, url, certificate, mesh })
    onReady({ ...info, ...(metrics && { metrics: metrics.url }) })
  }
  await aborted(signal)
}

/** On a test bed all nodes share an address, and no household is there to be told apart. */
function trustOf({ trust, testbed }: CoordinatorConfig) {
  const { probationMs, householdNodes: nodesMax, householdAllocations: allocationsMax } = trust
  const none = Number.POSITIVE_INFINITY
  const lifted = { nodesMax: none, allocationsMax: none }
  return { probationMs, householdLimits: testbed ? lifted : { nodesMax, allocationsMax } }
}

/** `acme/web/hello`, for operators. */
function groupNames(groups: Pick<Groups, 'byId'>): (id: GroupId) => string | undefined {
  return (id) => {
    const group = groups.byId(id)
    return group && `${group.organization}/${group.project}/${group.name}`
  }
}

async function loadKeys(config: CoordinatorConfig, certificate: TermCertificate) {
  const identityFile = config.identityKey ?? join(config.dataDir, 'identity.key')
  const orderFile = config.orderKey ?? join(config.dataDir, 'order.key')
  const identitySeed = await loadSeed(identityFile)
  if (peerIdOfPublicKey(createSigner(identitySeed).publicKey) !== certificate.coordinator) {
    throw new WrongKeyError(identityFile, 'identity of the coordinator')
  }
  const orderSigner = createSigner(await loadSeed(orderFile))
  if (Buffer.compare(orderSigner.publicKey, certificate.orderKey) !== 0) {
    throw new WrongKeyError(orderFile, 'order key')
  }
  return { identitySeed, orderSigner }
}

/** One key file an organization. */
function tenantsOf({ tenants, dataDir }: CoordinatorConfig): readonly TenantInit[] {
  return tenants.map((text) => {
    const [organization = '', project = ''] = text.split('/')
    return { organization, project, apiKeyFile: join(dataDir, 'api-keys', organization) }
  })
}

function readyInfo(
  config: CoordinatorConfig,
  at: Readonly<{
    network: Network
    wanted: readonly TenantInit[]
    adminKeyFile: string
    url: string
    certificate: TermCertificate
    mesh: Readonly<{ getMultiaddrs(): readonly { toString(): string }[] }>
  }>,
): Readonly<Record<string, unknown>> {
  return {
    peer: at.certificate.coordinator,
    network: at.network.network,
    addresses: at.mesh.getMultiaddrs().map(String),
    baseUrl: `${apiOrigin(config, at.url)}${apiPrefix}`,
    tenants: at.wanted,
    admin: { api: apiOrigin(config, at.url), keyFile: at.adminKeyFile },
  }
}

/** For `potluck admin --api`, and what clients' base URLs begin with. */
function apiOrigin({ api }: CoordinatorConfig, url: string): string {
  return (api.baseUrl ?? url).replace(/\/$/, '')
}

/** Resolves when `signal` is aborted. */
async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}
