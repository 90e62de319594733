/** The settings of a cache. */
import Type, { type Static } from 'typebox'
import { byteSize, duration, multiaddr, path } from '../protocol/config/index.ts'

export const configSchema = Type.Object({
  dataDir: path({ description: 'Where identity, state and encrypted chunks are kept' }),
  network: path({ description: 'The network file, as `potluck network create` makes it' }),
  listen: Type.Array(multiaddr({ description: 'An address' }), {
    description: 'Addresses on which other peers are answered',
    default: ['/ip4/0.0.0.0/tcp/4002'],
  }),
  announce: Type.Array(multiaddr({ description: 'An address' }), {
    description: 'Addresses to tell others, where a router forwards a port; else those listened on',
    default: [],
  }),
  storageBytes: byteSize({
    description: 'How much disk the chunks of images may take',
    default: '50GB',
    min: '16MB',
  }),
  runDir: Type.Optional(
    path({
      description:
        'Where one-time keys lie, on tmpfs; /run/potluck/<peer> for root, else in the data folder',
    }),
  ),
  source: Type.Union([Type.Literal('registry'), Type.Literal('simulated')], {
    description: 'Where images come from; `simulated` makes up an image for any reference',
    default: 'registry',
  }),
  insecureRegistries: Type.Array(Type.String({ description: 'A host' }), {
    description: 'Registries spoken to without TLS: host, host:port, or an address range',
    default: [],
  }),
  allowAddresses: Type.Array(Type.String({ description: 'A range' }), {
    description: 'Private address ranges (CIDR) in which registries may be',
    default: [],
  }),
  minProgressMs: duration({
    description:
      'A registry that brings less than 256 KiB of a blob in this time is given up for now',
    default: '2m',
    min: '1s',
  }),
  regions: Type.Array(
    Type.String({ description: 'A region', pattern: '^[a-z0-9]+(-[a-z0-9]+)*$' }),
    {
      description: 'Regions whose capacity adverts are passed on',
      default: [],
    },
  ),
  mdns: Type.Boolean({ description: 'Finds peers on the LAN', default: false }),
  privateAddresses: Type.Boolean({
    description: 'Private addresses are told to others: for a network within one LAN',
    default: false,
  }),
  testbed: Type.Boolean({
    description: 'Lifts limits by address, for many peers on one machine',
    default: false,
  }),
})
export type CacheConfig = Static<typeof configSchema>
