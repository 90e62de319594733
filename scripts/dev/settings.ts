/**
 * What each process of a development network is told, as the config file that it reads. Addresses
 * are of the host or of the homes' network, where several such networks may run at once.
 */
import { type Place, type Settings, writeSettings } from '../network/index.ts'
import { freePort } from './free-port.ts'
import { type Homes, homesPrefix } from './homes.ts'
import type { Run } from './run.ts'

/** Addresses on which peers meet. */
export type Places = Readonly<{ coordinator: Place; cache: Place }>

export type DevSettingsInit = Readonly<{
  run: Run
  places: Places
  apiPort: number
  /** Requests a minute of one API key; 0: no limit. */
  rateLimit: number
  engine: 'docker' | 'simulated'
}>

const homesPorts = { coordinator: 4001, cache: 4002 }
/** Loopback: registries there are allowed here alone. */
const loopback = '127.0.0.0/8'
/** Several processes on one address: each takes a free port. */
const metrics = { port: 0 }

/** The host's address in the homes' network, where nobody else is; without homes, free ports. */
export async function choosePlaces(homes: Homes | undefined): Promise<Places> {
  const host = homes?.hostIpv4 ?? '127.0.0.1'
  const port = async (fixed: number): Promise<number> => (homes ? fixed : await freePort(host))
  return {
    coordinator: { host, port: await port(homesPorts.coordinator) },
    cache: { host, port: await port(homesPorts.cache) },
  }
}

export async function writeDevSettings(init: DevSettingsInit): Promise<Settings> {
  const { run, places, apiPort, rateLimit, engine } = init
  const images =
    engine === 'simulated'
      ? { source: 'simulated' }
      : { insecure_registries: [loopback], allow_addresses: [loopback] }
  return await writeSettings({
    run,
    name: 'dev',
    ...places,
    api: { host: '127.0.0.1', port: apiPort, ratePerMinute: rateLimit },
    householdPerAddress: [homesPrefix, loopback],
    nodePort: 0,
    cacheSettings: { metrics, ...images },
    nodeSettings: { metrics, engine: { kind: engine === 'simulated' ? 'simulated' : 'managed' } },
  })
}
