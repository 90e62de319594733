/** What a chef, or who set the node up for one, may decide. One schema: file, environment, flags. */
import Type, { type Static } from 'typebox'
import { bitRate, byteSize, multiaddr, path, secret } from '../protocol/config/index.ts'
import { metricsSettings } from '../protocol/metrics/index.ts'

export const configSchema = Type.Object({
  dataDir: path({
    description: 'folder for identity, state, chunks and the engine of its own',
    default: '~/.local/share/potluck/node',
  }),
  network: path({ description: 'the network file; get it from who runs the network' }),
  claim: Type.Optional(
    secret({
      description:
        'the code that binds this node to a chef, once; it opens nothing after that (`potluck admin chef claim` makes it)',
    }),
  ),
  listen: Type.Array(multiaddr({ description: 'address' }), {
    description: 'addresses to be reached at by other peers',
    default: ['/ip4/0.0.0.0/tcp/4001', '/ip6/::/tcp/4001'],
  }),
  announce: Type.Array(multiaddr({ description: 'address' }), {
    description: 'addresses to tell others instead of those seen (a forwarded port)',
    default: [],
  }),
  runDir: Type.Optional(
    path({
      description:
        'folder on a tmpfs for one-time keys and the guard; /run/potluck/<peer id> for root',
    }),
  ),
  region: Type.String({
    description: 'where the node stands, roughly: eu-west, us-east, local',
    default: 'local',
    pattern: '^[a-z0-9]+(-[a-z0-9]+)*$',
    maxLength: 32,
  }),
  mdns: Type.Boolean({ description: 'find peers on the LAN', default: true }),
  upnp: Type.Boolean({
    description: 'ask the home’s router to forward the listening port (UPnP)',
    default: true,
  }),
  punch: Type.Boolean({
    description:
      'behind a router that forwards nothing: open direct connections to other homes at once with ' +
      'them (hole punching), and be reached for control messages at relays',
    default: true,
  }),
  relay: Type.Boolean({
    description:
      'while others can reach this node: pass on control messages of some that nobody can reach, ' +
      'within small limits',
    default: true,
  }),
  testbed: Type.Boolean({
    description:
      'many nodes on one machine or address: lifts limits that would take them for an attack',
    default: false,
  }),
  lend: Type.Object({
    cpus: Type.Optional(Type.Number({ description: 'cores lent; all by default', minimum: 0.1 })),
    memoryBytes: Type.Optional(
      byteSize({ description: 'memory lent; all but 1 GiB by default', min: '64MiB' }),
    ),
    storageBytes: Type.Optional(
      byteSize({ description: 'disk lent to containers; 90% of what is free by default' }),
    ),
    allocations: Type.Integer({
      description: 'how many containers may run at once',
      default: 1,
      minimum: 1,
      maximum: 64,
    }),
    gpu: Type.Boolean({ description: 'lend the GPUs', default: true }),
    jobs: Type.Union([Type.Literal('all'), Type.Literal('gpu'), Type.Literal('cpu')], {
      description: 'which containers are taken: all, those that want a GPU, those that want none',
      default: 'all',
    }),
    minPricePerHour: Type.Number({
      description: "the least that an hour of a container must pay, in the network's currency",
      default: 0,
      minimum: 0,
      maximum: 1_000_000,
    }),
  }),
  chunks: Type.Object({
    budgetBytes: byteSize({
      description: 'disk for encrypted chunks of images, own and of other peers',
      default: '50GB',
      min: '1MiB',
    }),
  }),
  bandwidth: Type.Object({
    uploadBitsPerS: Type.Optional(
      bitRate({
        description:
          'upload limit on the line, bits a second as providers sell it; by default 85% of what a ' +
          "link test measured, and less while the home's own traffic would wait",
        min: '8kbit',
      }),
    ),
    downloadBitsPerS: Type.Optional(
      bitRate({
        description: 'download limit on the line, bits a second; none by default',
        min: '8kbit',
      }),
    ),
    schedule: Type.Array(Type.String({ description: 'a window' }), {
      description:
        'other limits at some hours, local time; the first window that names a direction counts: ' +
        '"mon-fri 08:00-18:00 upload 2mbit download 20mbit", "daily 23:00-07:00 upload unlimited"',
      default: [],
    }),
  }),
  engine: Type.Object({
    kind: Type.Union(
      [
        Type.Literal('auto'),
        Type.Literal('managed'),
        Type.Literal('host'),
        Type.Literal('simulated'),
      ],
      {
        description:
          'managed: a Docker engine of the node’s own (root); host: the one at engine.socket; ' +
          'simulated: none, for who writes clients; auto: managed for root on Linux, else host',
        default: 'auto',
      },
    ),
    socket: path({
      description: "the chef's own engine, for kind host",
      default: '/var/run/docker.sock',
    }),
    imageTransfer: Type.Union([Type.Literal('auto'), Type.Literal('pull'), Type.Literal('load')], {
      description:
        'pull: the engine pulls from the node; load: images are streamed into it, for one that ' +
        'cannot reach 127.0.0.1 of this machine (Docker Desktop), at twice the disk; auto: as it can',
      default: 'auto',
    }),
    allowEnv: Type.Boolean({
      description: "let the chef's own engine write environment variables to its disk",
      default: false,
    }),
    dns: Type.Array(Type.String({ pattern: '^[0-9a-fA-F.:]{2,45}$' }), {
      description: 'name servers given to containers; those of the LAN are out of their reach',
      default: ['1.1.1.1', '9.9.9.9'],
    }),
    pool: Type.String({
      description:
        "addresses of containers' networks; one network per node where nodes share a host",
      default: '198.18.0.0/16',
      pattern: '^[0-9.]{7,15}/[0-9]{1,2}$',
    }),
  }),
  metrics: metricsSettings({ port: 9464 }),
})
export type NodeConfig = Static<typeof configSchema>
