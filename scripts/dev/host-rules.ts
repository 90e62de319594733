/**
 * The few rules that the host itself needs while homes hang on it: nodes reach the coordinator and
 * the cache and nothing else of the host; containers reach the internet through it and nothing of
 * its LAN. Every rule bears the run's name, so that the rules of a run that was killed are found.
 */
import { writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { createForwarding, createIptables } from '../../node/firewall/index.ts'
import { onLinkPrefixes } from '../../node/firewall/prefixes.ts'
import { closedRanges } from '../../node/firewall/ruleset.ts'
import type { Run } from './run.ts'

export type HostRulesInit = Readonly<{
  run: Run
  /** The host's interface to the homes, its address there, and the homes' prefix. */
  device: string
  hostIpv4: string
  prefix: string
  /** Open to nodes. */
  tcpPorts: readonly number[]
}>

type Wait = Readonly<{ signal: AbortSignal }>

/** Applies the rules and switches forwarding on. @throws {FirewallError} */
export async function applyHostRules(init: HostRulesInit, { signal }: Wait): Promise<void> {
  const { run } = init
  const iptables = createIptables()
  // The run that switched forwarding on may end before this one: then it is for this one to undo.
  const isOfARun = closingRule.test(await iptables.save(4, 'filter', signal))
  if (isOfARun) await writeFile(forwardingNote(run), 'switched on by another run\n')
  const forwarding = forwardingOf(run)
  const closeRest = await forwarding.isOurs()
  await iptables.restore(4, filterScript(init, closeRest), signal)
  await iptables.restore(4, natScript(init), signal)
  await forwarding.enable()
}

/** Takes out exactly the rules of `run`, and puts back forwarding. Idempotent. */
export async function removeHostRules(run: Run, { signal }: Wait): Promise<void> {
  const iptables = createIptables()
  for (const table of ['filter', 'nat']) {
    const script = removal(table, await iptables.save(4, table, signal), run)
    if (script !== undefined) await iptables.restore(4, script, signal)
  }
  const filter = await iptables.save(4, 'filter', signal)
  await forwardingOf(run).restore(/^-A FORWARD /m.test(filter))
}

function forwardingOf(run: Run) {
  return createForwarding({ notePath: forwardingNote(run) })
}

function forwardingNote(run: Run): string {
  return join(run.path, 'forwarding')
}

/** Stands where a run switched forwarding on; see `closeRest`. */
const closingRule = /^-A FORWARD -m comment --comment potluck-dev-\d+-\d+ -j DROP$/m

/** At most 28 characters; a pid has 7 at most. */
function chainOf(run: Run): string {
  return run.name.replace(/-\d+$/, '')
}

function filterScript(init: HostRulesInit, closeRest: boolean): string {
  const { run, device, hostIpv4, tcpPorts } = init
  const chain = chainOf(run)
  const mark = `-m comment --comment ${run.name}`
  const answers = '-m conntrack --ctstate RELATED,ESTABLISHED'
  const closed = [...closedRanges, ...onLinkPrefixes(networkInterfaces())]
  return [
    '*filter',
    `:${chain} - [0:0]`,
    `-A ${chain} ${answers} -j ACCEPT`,
    ...closed.map((range) => `-A ${chain} -d ${range} -j DROP`),
    `-A ${chain} -j ACCEPT`,
    // Inserted, so the last comes first.
    `-I FORWARD -i ${device} ${mark} -j ${chain}`,
    `-I FORWARD -o ${device} ${mark} ${answers} -j ACCEPT`,
    `-I INPUT -i ${device} ${mark} -j DROP`,
    `-I INPUT -i ${device} -d ${hostIpv4} -p tcp -m multiport --dports ${tcpPorts.join(',')} ${mark} -j ACCEPT`,
    `-I INPUT -i ${device} ${mark} ${answers} -j ACCEPT`,
    // Forwarding was off: what was not forwarded before must not be now.
    ...(closeRest ? [`-A FORWARD ${mark} -j DROP`] : []),
    'COMMIT',
    '',
  ].join('\n')
}

function natScript({ run, prefix }: HostRulesInit): string {
  const mark = `-m comment --comment ${run.name}`
  const rule = `-A POSTROUTING -s ${prefix} ! -d ${prefix} ${mark} -j MASQUERADE`
  return ['*nat', rule, 'COMMIT', ''].join('\n')
}

/** Undefined when nothing of the run stands in the table. */
function removal(table: string, saved: string, run: Run): string | undefined {
  const lines = saved.split('\n')
  const marked = lines.filter((line) => line.includes(`--comment ${run.name} `))
  const chain = chainOf(run)
  const hasChain = lines.some((line) => line.startsWith(`:${chain} `))
  if (marked.length === 0 && !hasChain) return undefined
  return [
    `*${table}`,
    ...marked.map((line) => line.replace(/^-A /, '-D ')),
    ...(hasChain ? [`-F ${chain}`, `-X ${chain}`] : []),
    'COMMIT',
    '',
  ].join('\n')
}
