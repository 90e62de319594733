/**
 * The config file of each process of a network that lives on one machine, beside its keys: what
 * `potluck network create` and an operator would write. The demo, `dev` and the benches add what is
 * theirs; what must agree between processes is said here, once.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'smol-toml'
import { networkFiles, nodeFolders } from './files.ts'
import { writeNetwork } from './write-network.ts'

/** Where a process listens. */
export type Place = Readonly<{ host: string; port: number }>

/** What goes into a config file, as TOML has it. */
export type OwnSettings = Parameters<typeof stringify>[0]

export interface Settings {
  /** Files to be named by `--config`. */
  readonly coordinator: string
  readonly cache: string
  /** @param ipv4 where the node listens */
  node(name: string, ipv4: string, own?: OwnSettings): Promise<string>
}

export type SettingsInit = Readonly<{
  /** The folder of the run; all files and data folders lie in it. */
  run: Readonly<{ path: string }>
  /** The network's. */
  name: string
  coordinator: Place
  cache: Place
  /** `ratePerMinute` of one API key; 0: no limit. */
  api: Place & Readonly<{ ratePerMinute: number }>
  householdPerAddress?: readonly string[]
  /** Where each node listens; 0: any port. */
  nodePort: number
  /** Beside what every cache and every node is told. */
  cacheSettings: OwnSettings
  nodeSettings: OwnSettings
}>

/** Makes the network's keys, its file, and the config files. The root key is thrown away. */
export async function writeSettings(init: SettingsInit): Promise<Settings> {
  const { run, coordinator, cache, api } = init
  const at = (file: string): string => join(run.path, file)
  const made = await writeNetwork({
    dir: run.path,
    name: init.name,
    coordinatorAddrs: [address(coordinator)],
    householdPerAddress: init.householdPerAddress ?? [],
    keepRootKey: false,
    issuedMs: Date.now(),
  })
  const common = { network: at(networkFiles.network), testbed: true }
  const write = async (file: string, settings: OwnSettings): Promise<string> => {
    await writeFile(at(file), stringify(settings), { mode: 0o600 })
    return at(file)
  }
  return {
    coordinator: await write(networkFiles.coordinatorSettings, {
      ...common,
      data_dir: at(networkFiles.coordinatorData),
      listen: [address(coordinator)],
      caches: [made.cache],
      // Several networks may run on one machine.
      metrics: { port: 0 },
      api: { host: api.host, port: api.port, rate_per_minute: api.ratePerMinute },
    }),
    cache: await write(networkFiles.cacheSettings, {
      ...common,
      data_dir: at(networkFiles.cacheData),
      run_dir: join(at(networkFiles.cacheData), 'run'),
      listen: [address(cache)],
      ...init.cacheSettings,
    }),
    async node(name, ipv4, own = {}) {
      const { dataDir, runDir } = nodeFolders(run, name)
      await mkdir(dataDir, { recursive: true, mode: 0o700 })
      return await write(`${name}.toml`, {
        ...common,
        data_dir: dataDir,
        run_dir: runDir,
        mdns: false,
        listen: [address({ host: ipv4, port: init.nodePort })],
        ...init.nodeSettings,
        ...own,
      })
    },
  }
}

function address({ host, port }: Place): string {
  return `/ip4/${host}/tcp/${port}`
}
