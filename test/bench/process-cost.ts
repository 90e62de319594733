/**
 * What the processes of a home cost its machine, as the kernel counts it. Linux only.
 * Source: proc(5): smaps, stat, net/dev.
 */
import { readFile, readlink } from 'node:fs/promises'
import { findProcesses, type ProcessSight } from '../../scripts/street/process-table.ts'

/** Fixed in the kernel's interface, whatever its own rate is (USER_HZ). */
const ticksPerS = 100

/** The node's own: daemon and guard. The engine: all else that runs in the home. */
export type HomeProcesses = Readonly<{ own: readonly number[]; engine: readonly number[] }>

/** The processes in the network namespace of `daemon`. */
export async function processesOfHome(daemon: number): Promise<HomeProcesses> {
  const home = await readlink(`/proc/${daemon}/ns/net`)
  const found = await findProcesses(({ netns }) => netns === home)
  const isOwn = ({ pid, words }: ProcessSight): boolean =>
    pid === daemon || words.some((word) => word.includes('/guard-process.ts'))
  const pids = (isWanted: (sight: ProcessSight) => boolean): number[] =>
    found.filter(isWanted).map(({ pid }) => pid)
  return { own: pids(isOwn), engine: pids((sight) => !isOwn(sight)) }
}

/**
 * Bytes of memory; 0 when it has ended. Proportional (PSS), but the program itself counts in full:
 * that this machine runs it more than once must not make it cheaper than on a chef's PC.
 */
export async function memoryBytes(pid: number): Promise<number> {
  const program = await readlink(`/proc/${pid}/exe`).catch(() => '')
  let [kib, isProgram] = [0, false]
  for (const line of (await read(pid, 'smaps')).split('\n')) {
    const mapping = /^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$/.exec(line)
    if (mapping) isProgram = mapping[1] === program
    const [, kind, amount] = /^(Pss|Rss): +(\d+) kB$/.exec(line) ?? []
    if (kind === (isProgram ? 'Rss' : 'Pss')) kib += Number(amount)
  }
  return kib * 1024
}

/** User and system time since it began; 0 when it has ended. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await read(pid, 'stat')
  // The name in parentheses may hold blanks; fields 14 and 15 are utime and stime.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / ticksPerS
}

/** Bytes in and out of `device` in the network namespace of `pid`: frames with their headers. */
export async function wireBytes(pid: number, device: string): Promise<number> {
  const lines = (await read(pid, 'net/dev')).split('\n')
  const line = lines.find((text) => text.trim().startsWith(`${device}:`))
  const counts = line?.split(':')[1]?.trim().split(/\s+/).map(Number) ?? []
  return (counts[0] ?? Number.NaN) + (counts[8] ?? Number.NaN)
}

/** Empty when the process has ended. */
async function read(pid: number, file: string): Promise<string> {
  return await readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')
}
