/**
 * For tests: tables in memory that take what `iptables-restore --noflush` takes from us, and refuse
 * what the kernel refuses: a jump to a chain that is not there, a chain removed while in use.
 */
import type { Iptables } from './iptables.ts'
import type { Family } from './ruleset.ts'

type Chains = Map<string, string[]>

const builtin: Readonly<Record<string, readonly string[]>> = {
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
}

export interface FakeIptables extends Iptables {
  /** Every rule and chain that is not the kernel's own, as text. */
  dump(): readonly string[]
  /** Another program's doing. */
  meddle(family: Family, table: string, lines: readonly string[]): void
  /** Texts that were restored. */
  readonly restored: readonly string[]
}

export function createFakeIptables(): FakeIptables {
  const tables = new Map<string, Chains>()
  const restored: string[] = []

  function table(family: Family, name: string): Chains {
    const key = `${family} ${name}`
    const fresh = new Map((builtin[name] ?? []).map((chain) => [chain, [] as string[]]))
    const chains = tables.get(key) ?? fresh
    tables.set(key, chains)
    return chains
  }

  function save(family: Family, name: string): string {
    const chains = table(family, name)
    const heads = [...chains.keys()].map((chain) => `:${chain} - [0:0]`)
    const rules = [...chains].flatMap(([chain, list]) => list.map((rule) => `-A ${chain} ${rule}`))
    return [`*${name}`, ...heads, ...rules, 'COMMIT', ''].join('\n')
  }

  function restore(family: Family, text: string): void {
    const [head = '', ...lines] = text.split('\n').filter(Boolean)
    const name = head.slice(1)
    // All or nothing: change a copy.
    const chains: Chains = new Map([...table(family, name)].map(([at, list]) => [at, [...list]]))
    for (const line of lines.filter((it) => it !== 'COMMIT')) step(chains, line)
    for (const [, list] of chains) {
      for (const rule of list) {
        const target = / -j (\S+)$/.exec(` ${rule}`)?.[1] ?? ''
        if (target.includes('-') && !chains.has(target)) throw new Error(`no chain ${target}`)
      }
    }
    tables.set(`${family} ${name}`, chains)
  }

  return {
    restored,
    save: async (family, name) => save(family, name),
    async restore(family, text) {
      restored.push(text)
      restore(family, text)
    },
    meddle: (family, name, lines) => restore(family, [`*${name}`, ...lines].join('\n')),
    dump: () =>
      [...tables].flatMap(([key, chains]) =>
        [...chains].flatMap(([chain, list]) => {
          const own = Object.values(builtin).flat().includes(chain) ? [] : [`${key} ${chain}`]
          return [...own, ...list.map((rule) => `${key} ${chain} ${rule}`)]
        }),
      ),
  }
}

function step(chains: Chains, line: string): void {
  if (line.startsWith(':')) {
    chains.set(line.slice(1).split(' ')[0] ?? '', [])
    return
  }
  const [verb = '', chain = '', ...rest] = line.split(' ')
  const list = chains.get(chain)
  if (!list) throw new Error(`no chain ${chain}`)
  switch (verb) {
    case '-A':
      list.push(rest.join(' '))
      return
    case '-I':
      list.splice(Number(rest[0]) - 1, 0, rest.slice(1).join(' '))
      return
    case '-D': {
      const at = list.indexOf(rest.join(' '))
      if (at < 0) throw new Error(`no rule ${line}`)
      list.splice(at, 1)
      return
    }
    case '-F':
      list.length = 0
      return
    case '-X':
      if (list.length > 0) throw new Error(`chain ${chain} is not empty`)
      chains.delete(chain)
      return
    default:
      throw new Error(`unknown ${line}`)
  }
}
