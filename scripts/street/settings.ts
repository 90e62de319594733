/**
 * What the processes of a network on the street are told, the demo's and the benches': all that is
 * not a home stands at one address of the street's internet.
 */
import { type OwnSettings, type Settings, writeSettings } from '../network/index.ts'

const ports = { coordinator: 4001, cache: 4002, node: 4001, api: 8080 }

/** @param host the address of coordinator and API, and of the cache unless `cacheHost` is given */
export async function writeStreetSettings({
  run,
  host,
  registry,
  cacheHost = host,
  cacheSettings = {},
}: {
  readonly run: Readonly<{ path: string }>
  readonly host: string
  /** Its `host:port`. */
  readonly registry: string
  readonly cacheHost?: string
  readonly cacheSettings?: OwnSettings
}): Promise<Settings> {
  return await writeSettings({
    run,
    name: 'demo',
    coordinator: { host, port: ports.coordinator },
    cache: { host: cacheHost, port: ports.cache },
    api: { host, port: ports.api, ratePerMinute: 0 },
    nodePort: ports.node,
    cacheSettings: {
      // The street's addresses are reserved for documentation, so to the cache they are private.
      private_addresses: true,
      insecure_registries: [registry],
      allow_addresses: [`${host}/32`],
      ...cacheSettings,
    },
    nodeSettings: { engine: { kind: 'managed' } },
  })
}
