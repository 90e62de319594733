/** What one run of `potluck dev` left on the machine, by the name that all of it bears. */
import { readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { runCommand } from '../street/index.ts'

export type LeftBehind = Readonly<{
  processes: readonly string[]
  files: readonly string[]
  namespaces: readonly string[]
  mounts: readonly string[]
  rules: readonly string[]
}>

export const nothing: LeftBehind = {
  processes: [],
  files: [],
  namespaces: [],
  mounts: [],
  rules: [],
}

/** @param pid of the `potluck dev` */
export async function leftBehind(pid: number): Promise<LeftBehind> {
  const name = `potluck-dev-${pid}-`
  const below = async (folder: string): Promise<string[]> => {
    const names = await readdir(folder).catch(() => [])
    return names.filter((entry) => entry.startsWith(name)).map((entry) => join(folder, entry))
  }
  const mounts = await readFile('/proc/self/mountinfo', 'utf8')
  const rules = process.getuid?.() === 0 ? await runCommand(['iptables-save']) : ''
  return {
    processes: await processesOf(name),
    files: [...(await below(tmpdir())), ...(await below('/var/tmp'))],
    namespaces: await below('/run/netns'),
    mounts: mounts.split('\n').filter((line) => line.includes(name)),
    rules: rules.split('\n').filter((line) => /^-A|^:/.test(line) && line.includes(name)),
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

/** Of the machine as a whole; equal before and after. */
export async function hostNetwork() {
  const names = await readdir('/sys/class/net')
  return {
    interfaces: names.filter((name) => /^(pldev|plk)/.test(name)),
    forwarding: (await readFile('/proc/sys/net/ipv4/ip_forward', 'utf8')).trim(),
  }
}
