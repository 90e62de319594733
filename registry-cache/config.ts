/** The settings of a cache. */
import Type, { type Static } from 'typebox'
import { bitRate, byteSize, duration, multiaddr, path } from '../protocol/config/index.ts'
import { metricsSettings } from '../protocol/metrics/index.ts'

export const configSchema = Type.Object({
  dataDir: path({
    description: 'where identity, state and encrypted chunks are kept',
    default: '~/.local/share/potluck/cache',
  }),
  network: path({ description: 'the network file, as `potluck network create` makes it' }),
  listen: Type.Array(multiaddr({ description: 'an address' }), {
    description: 'addresses on which other peers are answered',
    default: ['/ip4/0.0.0.0/tcp/4002', '/ip6/::/tcp/4002'],
  }),
  announce: Type.Array(multiaddr({ description: 'an address' }), {
    description: 'addresses to tell others, where a router forwards a port; else those listened on',
    default: [],
  }),
  storageBytes: byteSize({
    description: 'how much disk the chunks of images may take',
    default: '50GB',
    min: '16MB',
  }),
  runDir: Type.Optional(
    path({
      description:
        'where one-time keys lie, on tmpfs; /run/potluck/<peer> for root, else in the data folder',
    }),
  ),
  source: Type.Union([Type.Literal('registry'), Type.Literal('simulated')], {
    description: 'where images come from; `simulated` makes up an image for any reference',
    default: 'registry',
  }),
  insecureRegistries: Type.Array(Type.String({ description: 'a host' }), {
    description: 'registries spoken to without TLS: host, host:port, or an address range',
    default: [],
  }),
  allowAddresses: Type.Array(Type.String({ description: 'a range' }), {
    description: 'private address ranges (CIDR) in which registries may be',
    default: [],
  }),
  minProgressMs: duration({
    description:
      'a registry that brings less than 256 KiB of a blob in this time is given up for now',
    default: '2m',
    min: '1s',
  }),
  regions: Type.Array(
    Type.String({ description: 'a region', pattern: '^[a-z0-9]+(-[a-z0-9]+)*$' }),
    {
      description: 'regions whose capacity adverts are passed on',
      default: ['local'],
    },
  ),
  bandwidth: Type.Object({
    uploadBitsPerS: Type.Optional(
      bitRate({
        description: 'upload limit on the line, bits a second as providers sell it',
        min: '8kbit',
      }),
    ),
    downloadBitsPerS: Type.Optional(
      bitRate({
        description: 'download limit on the line for chunks from peers, bits a second',
        min: '8kbit',
      }),
    ),
  }),
  mdns: Type.Boolean({ description: 'finds peers on the LAN', default: false }),
  privateAddresses: Type.Boolean({
    description: 'private addresses are told to others: for a network within one LAN',
    default: false,
  }),
  testbed: Type.Boolean({
    description: 'lifts limits by address, for many peers on one machine',
    default: false,
  }),
  metrics: metricsSettings({ port: 9465 }),
})
export type CacheConfig = Static<typeof configSchema>
