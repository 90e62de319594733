/**
 * From what stands in a table to what must: the text of one `iptables-restore`, which the kernel
 * takes as a whole or not at all, so that there is no moment without rules while they change.
 */
import type { Jump, Table } from './ruleset.ts'

/** What `iptables-save -t TABLE` printed, as far as it matters. */
export type TableState = Readonly<{
  chains: ReadonlySet<string>
  /** `-A …` lines in order. */
  rules: readonly string[]
}>

export function parseTable(saved: string): TableState {
  const lines = saved.split('\n').map((line) => line.trimEnd())
  const chains = lines.flatMap((line) => (line.startsWith(':') ? [nameOf(line.slice(1))] : []))
  return { chains: new Set(chains), rules: lines.filter((line) => line.startsWith('-A ')) }
}

function nameOf(text: string): string {
  return text.split(' ')[0] ?? ''
}

function chainOf(rule: string): string {
  return nameOf(rule.slice('-A '.length))
}

function jumpRule({ from, match, to }: Jump): string {
  return ['-A', from, match, '-j', to].filter((part) => part.length > 0).join(' ')
}

/** Whether a chain is one of the node's, whichever version of Potluck made it. */
function isOurs(chain: string, tag: string): boolean {
  return chain.startsWith('POTLUCK-') && chain.endsWith(`-${tag}`)
}

function jumpsToUs(state: TableState, tag: string): readonly string[] {
  return state.rules.filter((rule) => {
    const target = / -j (\S+)$/.exec(rule)?.[1] ?? ''
    return isOurs(target, tag) && !isOurs(chainOf(rule), tag)
  })
}

/** Puts the table in: our old jumps out, our chains anew, our jumps at their places. */
export function installScript(table: Table, state: TableState, tag: string): string {
  const stale = [...state.chains].filter((it) => isOurs(it, tag) && !(it in table.chains))
  return script(table.name, [
    // Naming a chain of one's own empties it, or makes it.
    ...Object.keys(table.chains).map((chain) => `:${chain} - [0:0]`),
    ...jumpsToUs(state, tag).map((rule) => rule.replace(/^-A/, '-D')),
    ...stale.flatMap((chain) => [`-F ${chain}`, `-X ${chain}`]),
    ...Object.entries(table.chains).flatMap(([chain, rules]) =>
      rules.map((rule) => `-A ${chain} ${rule}`),
    ),
    ...table.jumps.map((jump) =>
      jump.place === 'last' ? jumpRule(jump) : jumpRule(jump).replace(/^-A (\S+)/, '-I $1 1'),
    ),
  ])
}

/** Takes out all that bears the tag, and nothing else; undefined when there is nothing. */
export function removeScript(name: string, state: TableState, tag: string): string | undefined {
  const chains = [...state.chains].filter((chain) => isOurs(chain, tag))
  const jumps = jumpsToUs(state, tag)
  if (chains.length + jumps.length === 0) return undefined
  return script(name, [
    ...jumps.map((rule) => rule.replace(/^-A/, '-D')),
    ...chains.map((chain) => `-F ${chain}`),
    ...chains.map((chain) => `-X ${chain}`),
  ])
}

function script(table: string, lines: readonly string[]): string {
  return [`*${table}`, ...lines, 'COMMIT', ''].join('\n')
}

/**
 * What of ours stands, in a form to compare: our chains' rules as the kernel prints them, and where
 * our jumps stand. Others' rules are left out, except where one stands before a jump that must be
 * first or after one that must be last.
 */
export function fingerprint(table: Table, state: TableState, tag: string): string {
  const own = state.rules.filter((rule) => isOurs(chainOf(rule), tag))
  const jumps = table.jumps.map((jump) => {
    const inChain = state.rules.filter((rule) => chainOf(rule) === jump.from)
    const foreign = (rule: string): boolean => !/ -j POTLUCK-\S+$/.test(rule)
    const at = inChain.indexOf(jumpRule(jump))
    const others = jump.place === 'first' ? inChain.slice(0, at) : inChain.slice(at + 1)
    const isInPlace = at >= 0 && !others.some(foreign)
    return `${jumpRule(jump)} ${isInPlace ? 'in place' : 'out of place'}`
  })
  return [...own, ...jumps].join('\n')
}
