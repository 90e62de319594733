/** The kernel's tables, through the programs that every Linux has for them. */
import { execFile } from 'node:child_process'
import { FirewallError } from './errors.ts'
import type { Family } from './ruleset.ts'

export interface Iptables {
  save(family: Family, table: string, signal: AbortSignal): Promise<string>
  /** Changes one table as a whole or not at all, leaving what the text does not name. */
  restore(family: Family, text: string, signal: AbortSignal): Promise<void>
}

/** iptables answers in milliseconds; another program may hold its lock for a while. */
const timeoutMs = 20_000
const lockWaitS = '10'

export function createIptables({ searchPath = defaultPath } = {}): Iptables {
  const program = (family: Family, verb: string): string =>
    `${family === 4 ? 'iptables' : 'ip6tables'}-${verb}`

  function run(name: string, args: readonly string[], input: string, signal: AbortSignal) {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const options = { timeout: timeoutMs, signal, env: { PATH: searchPath } }
    const child = execFile(name, [...args], options, (cause, stdout, stderr) => {
      if (!cause) return resolve(stdout)
      if (signal.aborted) return reject(signal.reason)
      const words = stderr.trim().split('\n').slice(-2).join('; ') || cause.message
      const message = `${name}: ${words}; the node needs iptables and root to isolate containers`
      reject(new FirewallError('FIREWALL_UNAVAILABLE', message, { cause }))
    })
    child.stdin?.on('error', () => {}) // It ended before it read: the callback says why.
    child.stdin?.end(input)
    return promise
  }

  return {
    save: (family, table, signal) => run(program(family, 'save'), ['-t', table], '', signal),
    async restore(family, text, signal) {
      const args = ['--noflush', '--wait', lockWaitS]
      await run(program(family, 'restore'), args, text, signal)
    },
  }
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
