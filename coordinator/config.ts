/** What an operator may decide about a coordinator. One schema: file, environment, flags. */
import Type, { type Static } from 'typebox'
import { duration, multiaddr, path, port } from '../protocol/config/index.ts'
import { metricsSettings } from '../protocol/metrics/index.ts'
import { pricesSettings } from './ledger/prices.ts'

export const configSchema = Type.Object({
  dataDir: path({
    description: 'folder for keys and state; `potluck network create` makes it with its keys',
    default: '~/.local/share/potluck/coordinator',
  }),
  network: path({ description: 'the network file that `potluck network create` made' }),
  identityKey: Type.Optional(
    path({ description: 'file of the libp2p identity; identity.key in the data folder' }),
  ),
  orderKey: Type.Optional(
    path({ description: 'file of the key that signs orders; order.key in the data folder' }),
  ),
  secretsKey: Type.Optional(
    path({
      description:
        'file of the keys that seal secrets at rest; secrets.key in the data folder, and better outside it',
    }),
  ),
  listen: Type.Array(multiaddr({ description: 'address' }), {
    description: 'addresses at which peers reach the coordinator',
    default: ['/ip4/0.0.0.0/tcp/4001', '/ip6/::/tcp/4001'],
  }),
  announce: Type.Array(multiaddr({ description: 'address' }), {
    description: 'addresses to tell peers instead of those listened on',
    default: [],
  }),
  caches: Type.Array(Type.String({ pattern: '^[1-9A-HJ-NP-Za-km-z]{32,64}$' }), {
    description:
      'peer ids of the caches: they pull images and hold their keys, so trust is explicit',
    default: [],
  }),
  api: Type.Object({
    host: Type.String({
      description: 'address that the HTTP API listens on',
      default: '127.0.0.1',
    }),
    port: port({ description: 'port of the HTTP API', default: 8080 }),
    baseUrl: Type.Optional(
      Type.String({ description: 'where clients reach the API, behind a proxy', minLength: 8 }),
    ),
    ratePerMinute: Type.Integer({
      description: 'requests a minute of one API key; 0: no limit',
      default: 240,
      minimum: 0,
    }),
    trustProxy: Type.Boolean({
      description: 'believe X-Forwarded-For: only behind a proxy of your own',
      default: false,
    }),
  }),
  metrics: metricsSettings({ port: 9466 }),
  prices: pricesSettings,
  tenants: Type.Array(
    Type.String({ pattern: '^[a-z][a-z0-9-]{0,61}[a-z0-9]/[a-z][a-z0-9-]{0,61}[a-z0-9]$' }),
    {
      description:
        'organization/project to make at start; the API key of each organization lies in api-keys/ of the data folder',
      default: ['default/default'],
    },
  ),
  adminKeyFile: Type.Optional(
    path({
      description:
        'file with the first key of the admin API, made (mode 0600) if there is none; admin-key in the data folder',
    }),
  ),
  countriesFile: Type.Optional(
    path({
      description:
        'CSV of prefix,country (203.0.113.0/24,de): where nodes are, by the address they are seen at',
    }),
  ),
  replicasQuota: Type.Integer({
    description:
      "replicas of all of one organization's groups together, unless it has a quota of its own",
    default: 10_000,
    minimum: 1,
  }),
  inferenceEndpoints: Type.Optional(
    path({ description: 'JSON file with the catalogue of inference endpoints' }),
  ),
  allowAddresses: Type.Optional(
    Type.Array(Type.String({ description: 'a range' }), {
      description: 'private address ranges (CIDR) in which tenants’ webhooks may be',
    }),
  ),
  preemptAfterMs: duration({
    description:
      'how long a replica runs, at least, before a group of higher priority may take its node',
    default: '30m',
    max: '30d',
  }),
  reconnectWindowMs: Type.Optional(
    duration({
      description:
        'how long a restarted coordinator waits for nodes before it replaces silent ones; by default 1m, more for many nodes',
      max: '1h',
    }),
  ),
  regions: Type.Array(
    Type.String({ description: 'a region', pattern: '^[a-z0-9]+(-[a-z0-9]+)*$' }),
    { description: 'regions whose capacity adverts are heard and passed on', default: ['local'] },
  ),
  trust: Type.Object({
    probationMs: duration({
      description: 'good service after which a new node may be given sensitive groups',
      default: '1d',
      max: '365d',
    }),
    householdNodes: Type.Integer({
      description: 'nodes of one household (a public address) that may be here at once',
      default: 32,
      minimum: 1,
    }),
    householdAllocations: Type.Integer({
      description: 'containers of all nodes of one household together',
      default: 64,
      minimum: 1,
    }),
  }),
  testbed: Type.Boolean({
    description:
      'many peers on one machine or address: lifts limits that would take them for an attack',
    default: false,
  }),
})
export type CoordinatorConfig = Static<typeof configSchema>
