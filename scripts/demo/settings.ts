/**
 * The keys of the demo's network and the config file of each of its processes: the same files that
 * `potluck network create` and an operator would write.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'smol-toml'
import { identityFromSeed, writeSeed } from '../../protocol/identity/index.ts'
import { createNetwork, formatNetworkFile } from '../../protocol/network/index.ts'
import type { RunFolder } from '../../test/street/index.ts'
import { networkFiles } from '../potluck/network.ts'

/** All that is not a home stands at one address of the street's internet. */
const ports = { coordinator: 4001, cache: 4002, api: 8080 }
const nodePort = 4001

export type NodeFolders = Readonly<{ dataDir: string; runDir: string }>

export interface Settings {
  /** Files for `--config`. */
  readonly coordinator: string
  readonly cache: string
  /** @param ipv4 where the node listens */
  node(name: string, ipv4: string, own?: Own): Promise<string>
}

/** Settings beside those of every process. */
type Own = Parameters<typeof stringify>[0]

/** Where a node keeps what; its engine mounts a tmpfs at `runDir`. */
export function nodeFolders(run: Pick<RunFolder, 'path'>, name: string): NodeFolders {
  return { dataDir: join(run.path, name), runDir: join(run.path, name, 'run') }
}

/** @param host the address of coordinator and API, and of the cache unless `cacheHost` is given */
export async function writeSettings({
  run,
  host,
  registry,
  cacheHost = host,
  cacheSettings = {},
}: {
  readonly run: RunFolder
  readonly host: string
  /** Its `host:port`. */
  readonly registry: string
  readonly cacheHost?: string
  readonly cacheSettings?: Own
}): Promise<Settings> {
  const at = (file: string): string => join(run.path, file)
  const address = (port: number, of = host): string => `/ip4/${of}/tcp/${port}`
  const made = await createNetwork({
    name: 'demo',
    coordinatorAddrs: [address(ports.coordinator)],
    householdPerAddress: [],
    issuedMs: Date.now(),
  })
  const cacheSeed = new Uint8Array(randomBytes(32))
  const { peer: cachePeer } = await identityFromSeed(cacheSeed)
  await writeFile(at(networkFiles.network), formatNetworkFile(made.network))
  await writeSeed(at(networkFiles.coordinatorIdentity), made.coordinatorSeed)
  await writeSeed(at(networkFiles.coordinatorOrderKey), made.orderSeed)
  await writeSeed(at('cache/identity.key'), cacheSeed)
  const common = { network: at(networkFiles.network), testbed: true }
  const write = async (name: string, settings: Own) => {
    const file = at(`${name}.toml`)
    await writeFile(file, stringify(settings), { mode: 0o600 })
    return file
  }
  return {
    coordinator: await write('coordinator', {
      ...common,
      data_dir: at(networkFiles.coordinatorData),
      listen: [address(ports.coordinator)],
      caches: [cachePeer],
      api: { host, port: ports.api, rate_per_minute: 0 },
    }),
    cache: await write('cache', {
      ...common,
      data_dir: at('cache'),
      run_dir: at('cache/run'),
      listen: [address(ports.cache, cacheHost)],
      // The street's addresses are reserved for documentation, so to the cache they are private.
      private_addresses: true,
      insecure_registries: [registry],
      allow_addresses: [`${host}/32`],
      ...cacheSettings,
    }),
    async node(name, ipv4, own = {}) {
      const { dataDir, runDir } = nodeFolders(run, name)
      await mkdir(dataDir, { recursive: true, mode: 0o700 })
      return await write(name, {
        ...common,
        data_dir: dataDir,
        run_dir: runDir,
        mdns: false,
        listen: [`/ip4/${ipv4}/tcp/${nodePort}`],
        engine: { kind: 'managed' },
        ...own,
      })
    },
  }
}
