/**
 * Loaded by `--import` into a process under attack, where {@link hostileDns} is set: names under `rebind.example` lead to 127.0.0.2
 * when they are first asked for and to 127.0.0.1 from then on; those under `inside.example` to
 * whatever their first label says, `10-0-0-1.inside.example`.
 */
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'

/** The variable that lets names lead astray. */
export const hostileDns = 'HOSTILE_DNS'

const asked = new Set<string>()
const genuine = dns.lookup

function addressOf(name: string): string | undefined {
  if (name.endsWith('.inside.example')) return name.split('.')[0]?.replaceAll('-', '.')
  if (!name.endsWith('.rebind.example')) return undefined
  const isFirst = !asked.has(name)
  asked.add(name)
  return isFirst ? '127.0.0.2' : '127.0.0.1'
}

type Done = (error: Error | null, found: unknown, family?: number) => void

const lookup = (name: string, options: unknown, done?: Done): void => {
  const address = addressOf(name)
  const tell = (done ?? options) as Done
  if (address === undefined) {
    Reflect.apply(genuine, dns, done ? [name, options, done] : [name, options])
    return
  }
  const wantsAll =
    typeof options === 'object' && options !== null && 'all' in options && options.all
  setImmediate(() => (wantsAll ? tell(null, [{ address, family: 4 }]) : tell(null, address, 4)))
}
if (process.env[hostileDns]) {
  dns.lookup = lookup as typeof dns.lookup
  dns.promises.lookup = (async (name: string, options?: { all?: boolean }) => {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    lookup(name, options ?? {}, (error, found, family) => {
      if (error) reject(error)
      else resolve(options?.all ? found : { address: found, family })
    })
    return await promise
  }) as typeof dns.promises.lookup
  syncBuiltinESMExports()
}
