/** What one run of `potluck dev` left on the machine, by the name that all of it bears. */
import { readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { runCommand } from '../../scripts/street/index.ts'

export type LeftBehind = Readonly<{
  processes: readonly string[]
  files: readonly string[]
  namespaces: readonly string[]
  mounts: readonly string[]
  rules: readonly string[]
  interfaces: readonly string[]
}>

export const nothing: LeftBehind = {
  processes: [],
  files: [],
  namespaces: [],
  mounts: [],
  rules: [],
  interfaces: [],
}

/** @param pid of the `potluck dev` */
export async function leftBehind(pid: number): Promise<LeftBehind> {
  const name = `potluck-dev-${pid}-`
  const below = async (folder: string): Promise<string[]> => {
    const names = await readdir(folder).catch(() => [])
    return names.filter((entry) => entry.startsWith(name)).map((entry) => join(folder, entry))
  }
  const mounts = await readFile('/proc/self/mountinfo', 'utf8')
  const asRoot = async (...command: string[]): Promise<string[]> =>
    process.getuid?.() === 0 ? (await runCommand(command)).split('\n') : []
  return {
    processes: await processesOf(name),
    files: [...(await below(tmpdir())), ...(await below('/var/tmp'))],
    namespaces: await below('/run/netns'),
    mounts: mounts.split('\n').filter((line) => line.includes(name)),
    // A rule of the run's own chain names the run's pid alone.
    rules: (await asRoot('iptables-save')).filter(
      (line) => /^-A|^:/.test(line) && new RegExp(`potluck-dev-${pid}\\b`).test(line),
    ),
    // `… link-netns potluck-dev-…-switch`
    interfaces: (await asRoot('ip', '-o', 'link')).filter((line) => line.includes(name)),
  }
}

/** When all processes of a run have ended. @throws after `deadlineMs`. */
export async function untilNoProcess(pid: number, deadlineMs: number): Promise<void> {
  const giveUpMs = performance.now() + deadlineMs
  for (;;) {
    const left = await processesOf(`potluck-dev-${pid}-`)
    if (left.length === 0) return
    if (performance.now() > giveUpMs) throw new Error(`still there: ${left.join('; ')}`)
    await sleep(100)
  }
}

/** Daemons, engines, shims, guards: each names the run in its environment or its command line. */
async function processesOf(name: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    const read = (file: string) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')
    const [line, environment] = await Promise.all([read('cmdline'), read('environ')])
    const isOurs = line.includes(`/${name}`) || environment.includes(`POTLUCK_RUN=${name}`)
    if (isOurs && line !== '') found.push(`${pid} ${line.replaceAll('\0', ' ')}`)
  }
  return found
}

/** The switch of the machine's forwarding; undefined while runs of others want it on. */
export async function hostForwarding(): Promise<string | undefined> {
  if ((await runCommand(['iptables-save'])).includes('--comment potluck-dev-')) return undefined
  return (await readFile('/proc/sys/net/ipv4/ip_forward', 'utf8')).trim()
}
