/**
 * What each process of a development network is told, as the config file that it reads. Addresses
 * are of the host or of the homes' network, where several such networks may run at once.
 */
import { type Place, type Settings, writeSettings } from '../network/index.ts'
import { homesPrefix } from './homes.ts'
import type { Run } from './run.ts'

export type DevSettingsInit = Readonly<{
  run: Run
  /** Addresses on which peers meet. */
  places: Readonly<{ coordinator: Place; cache: Place }>
  apiPort: number
  /** Requests a minute of one API key; 0: no limit. */
  rateLimit: number
  engine: 'docker' | 'simulated'
}>

/** Loopback: registries there are allowed here alone. */
const loopback = '127.0.0.0/8'
/** Several processes on one address: each takes a free port. */
const metrics = { port: 0 }

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
