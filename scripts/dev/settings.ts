/**
 * What each process of a development network is told, as the config file that it reads; and the
 * keys that let them know one another before the first of them runs.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'smol-toml'
import { identityFromSeed, writeSeed } from '../../protocol/identity/index.ts'
import { createNetwork, formatNetworkFile } from '../../protocol/network/index.ts'
import { networkFiles } from '../potluck/network.ts'
import { homesPrefix } from './homes.ts'
import { engineFolders } from './paths.ts'
import type { Run } from './run.ts'

/** Addresses on which peers meet. */
export type Places = Readonly<{
  coordinator: Readonly<{ host: string; port: number }>
  cache: Readonly<{ host: string; port: number }>
}>

export type SettingsInit = Readonly<{
  run: Run
  places: Places
  apiPort: number
  /** Requests a minute of one API key; 0: no limit. */
  rateLimit: number
  engine: 'docker' | 'simulated'
}>

export interface Settings {
  /** Files to be named by `--config`. */
  readonly coordinator: string
  readonly cache: string
  /** @param ipv4 where the node listens */
  node(name: string, ipv4: string): Promise<string>
}

/** Loopback: registries there are allowed here alone. */
const loopback = '127.0.0.0/8'

/** Makes the network's keys, its file, and the config files. The root key is thrown away. */
export async function writeSettings(init: SettingsInit): Promise<Settings> {
  const { run, places, apiPort, rateLimit, engine } = init
  const at = (file: string): string => join(run.path, file)
  const address = ({ host, port }: Places['cache']): string => `/ip4/${host}/tcp/${port}`
  const made = await createNetwork({
    name: 'dev',
    coordinatorAddrs: [address(places.coordinator)],
    householdPerAddress: [homesPrefix, loopback],
    issuedMs: Date.now(),
  })
  const cacheSeed = new Uint8Array(randomBytes(32))
  const { peer: cachePeer } = await identityFromSeed(cacheSeed)
  await writeFile(at(networkFiles.network), formatNetworkFile(made.network))
  await writeSeed(at(networkFiles.coordinatorIdentity), made.coordinatorSeed)
  await writeSeed(at(networkFiles.coordinatorOrderKey), made.orderSeed)
  await writeSeed(at('cache/identity.key'), cacheSeed)
  const common = { network: at(networkFiles.network), testbed: true }

  const write = async (name: string, settings: Parameters<typeof stringify>[0]) => {
    await writeFile(at(`${name}.toml`), stringify(settings), { mode: 0o600 })
    return at(`${name}.toml`)
  }
  return {
    coordinator: await write('coordinator', {
      ...common,
      data_dir: at(networkFiles.coordinatorData),
      listen: [address(places.coordinator)],
      caches: [cachePeer],
      api: { host: '127.0.0.1', port: apiPort, rate_per_minute: rateLimit },
    }),
    cache: await write('cache', {
      ...common,
      data_dir: at('cache'),
      run_dir: at('cache/run'),
      listen: [address(places.cache)],
      metrics: { port: 0 },
      ...(engine === 'simulated'
        ? { source: 'simulated' }
        : { insecure_registries: [loopback], allow_addresses: [loopback] }),
    }),
    async node(name, ipv4) {
      const { dataDir, runDir } = engineFolders(run, name)
      await mkdir(dataDir, { recursive: true, mode: 0o700 })
      return await write(name, {
        ...common,
        data_dir: dataDir,
        run_dir: runDir,
        metrics: { port: 0 }, // several on one address
        mdns: false,
        listen: [`/ip4/${ipv4}/tcp/0`],
        engine: { kind: engine === 'simulated' ? 'simulated' : 'managed' },
      })
    },
  }
}
