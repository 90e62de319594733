/**
 * Keeps containers and the home apart: applies the rules, sees that they still stand (Docker and
 * VPNs rewrite tables), proves them on each container, and takes them out again, exactly.
 *
 * It belongs in the network namespace of the engine whose bridges it guards.
 */
import { createHash } from 'node:crypto'
import { access } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import type { PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { Forwarding } from './forwarding.ts'
import type { Iptables } from './iptables.ts'
import { type CheckTarget, checkIsolation } from './isolation-check.ts'
import { type Interfaces, onLinkPrefixes } from './prefixes.ts'
import { buildRuleset, type Family, type Table } from './ruleset.ts'
import { fingerprint, installScript, parseTable, removeScript } from './table-state.ts'

export type FirewallInit = Readonly<{
  /** {@link firewallTag}, so that nodes of one machine do not take each other's rules. */
  tag: string
  /** The managed engine's pool. Absent beside an engine that masquerades itself. */
  masqueradePool?: string
}>

export type FirewallComponents = Readonly<{
  logger: Logger
  iptables: Iptables
  forwarding: Forwarding
  /** For tests; `os.networkInterfaces` otherwise. */
  interfaces?: () => Interfaces
  hasIpv6?: () => Promise<boolean>
  hasBridgeNetfilter?: () => Promise<boolean>
}>

export type FirewallWait = Readonly<{ signal: AbortSignal }>

export interface Firewall {
  /** Names of tables whose rules are not what they must be; empty when all is well. */
  check(options: FirewallWait): Promise<readonly string[]>
  /** Applies what {@link check} misses; to be called at start and now and then. */
  ensure(options: FirewallWait): Promise<void>
  /** Proves a running container's isolation. @throws {FirewallError} */
  verify(target: CheckTarget, options: FirewallWait): Promise<void>
  /** Takes out exactly our rules. Idempotent, also after another process's life. */
  stop(): Promise<void>
}

const stopTimeoutMs = 30_000
const everyTable: readonly (readonly [Family, string])[] = [
  [4, 'mangle'],
  [4, 'filter'],
  [4, 'nat'],
  [6, 'mangle'],
]

/** A node's tag: 8 hex digits, for the kernel takes 28 characters in a chain's name. */
export function firewallTag(node: PeerId): string {
  return createHash('sha256').update(node).digest('hex').slice(0, 8)
}

export function createFirewall(
  { tag, masqueradePool }: FirewallInit,
  components: FirewallComponents,
): Firewall {
  const { logger, iptables, forwarding } = components
  const interfaces = components.interfaces ?? networkInterfaces
  const hasIpv6 = components.hasIpv6 ?? (() => exists('/proc/net/if_inet6'))
  const hasBridgeNetfilter =
    components.hasBridgeNetfilter ?? (() => exists('/proc/sys/net/bridge/bridge-nf-call-iptables'))
  /** What stood right after we applied it, by table: the kernel's words, not ours. */
  const applied = new Map<string, Readonly<{ wanted: string; stood: string }>>()
  let turn: Promise<unknown> = Promise.resolve()

  const keyOf = (table: Table): string => `ip${table.family} ${table.name}`

  async function tables(closeForwarding: boolean): Promise<readonly Table[]> {
    return buildRuleset({
      tag,
      onLink: onLinkPrefixes(interfaces()),
      ...(masqueradePool === undefined ? {} : { masqueradePool }),
      closeForwarding,
      bridgeNetfilter: await hasBridgeNetfilter(),
      ipv6: await hasIpv6(),
    })
  }

  async function stateOf({ family, name }: Table, signal: AbortSignal) {
    return parseTable(await iptables.save(family, name, signal))
  }

  async function missing(wanted: readonly Table[], signal: AbortSignal) {
    const isMissing = await Promise.all(
      wanted.map(async (table) => {
        const known = applied.get(keyOf(table))
        if (known?.wanted !== JSON.stringify(table)) return true
        return fingerprint(table, await stateOf(table, signal), tag) !== known.stood
      }),
    )
    return wanted.filter((_, at) => isMissing[at])
  }

  async function apply(table: Table, signal: AbortSignal): Promise<void> {
    const script = installScript(table, await stateOf(table, signal), tag)
    await iptables.restore(table.family, script, signal)
    const stood = fingerprint(table, await stateOf(table, signal), tag)
    applied.set(keyOf(table), { wanted: JSON.stringify(table), stood })
  }

  /** Rules first, forwarding after: nothing is forwarded in between. */
  async function ensureNow({ signal }: FirewallWait): Promise<void> {
    const isOurs = await forwarding.isOurs()
    const wanted = await tables(isOurs)
    const lacking = await missing(wanted, signal)
    const changed = lacking.filter((table) => applied.has(keyOf(table))).map(keyOf)
    if (changed.length > 0) logger.warn({ tables: changed }, 'rules were not as left; put back')
    for (const table of lacking) await apply(table, signal)
    await forwarding.enable()
  }

  async function usedByOthers(signal: AbortSignal): Promise<boolean> {
    const { rules } = parseTable(await iptables.save(4, 'filter', signal))
    return rules.some((rule) => rule.startsWith('-A FORWARD '))
  }

  async function stopNow(): Promise<void> {
    const signal = AbortSignal.timeout(stopTimeoutMs)
    for (const [family, name] of everyTable) {
      if (family === 6 && !(await hasIpv6())) continue
      const state = parseTable(await iptables.save(family, name, signal))
      const script = removeScript(name, state, tag)
      if (script !== undefined) await iptables.restore(family, script, signal)
    }
    applied.clear()
    await forwarding.restore(await usedByOthers(signal))
  }

  function inTurn<T>(act: () => Promise<T>): Promise<T> {
    const next = turn.then(act, act)
    turn = next.catch(() => {})
    return next
  }

  return {
    check: ({ signal }) =>
      inTurn(async () => {
        const wanted = await tables(await forwarding.isOurs())
        return (await missing(wanted, signal)).map(keyOf)
      }),
    ensure: (options) => inTurn(() => ensureNow(options)),
    verify: (target, options) => checkIsolation(target, options),
    stop: () => inTurn(stopNow),
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
