/**
 * What a process costs its machine, as the kernel counts it. Linux only.
 * Source: proc(5): smaps_rollup, stat, net/dev.
 */
import { readdir, readFile, readlink } from 'node:fs/promises'

/** Clock ticks a second: fixed in the kernel's interface, whatever its own rate is (USER_HZ). */
const ticksPerS = 100

export type ProcessKind = 'node' | 'guard' | 'engine'
export type OneProcess = Readonly<{ pid: number; kind: ProcessKind }>

/** All processes in a network namespace, told apart; `daemon` is the node's own. */
export async function processesIn(inode: number, daemon: number): Promise<readonly OneProcess[]> {
  const found: OneProcess[] = []
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)) {
    if ((await readlink(`/proc/${pid}/ns/net`).catch(() => '')) !== `net:[${inode}]`) continue
    const words = (await read(pid, 'cmdline')).split('\0')
    const isGuard = words.some((word) => word.endsWith('/guard-process.ts'))
    found.push({ pid, kind: pid === daemon ? 'node' : isGuard ? 'guard' : 'engine' })
  }
  return found
}

/** Proportional set size; 0 when it has ended. */
export async function pssBytes(pid: number): Promise<number> {
  const kib = /^Pss:\s+(\d+) kB$/m.exec(await read(pid, 'smaps_rollup'))?.[1]
  return Number(kib ?? 0) * 1024
}

/** User and system time since it began; 0 when it has ended. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await read(pid, 'stat')
  // The name in parentheses may hold blanks; 14 and 15 are utime and stime.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / ticksPerS
}

/** Bytes in and out of an interface of the process's network namespace, frames with headers. */
export async function wireBytes(pid: number, device: string): Promise<number> {
  const table = await read(pid, 'net/dev')
  const line = table.split('\n').find((text) => text.trim().startsWith(`${device}:`))
  const counts = line?.split(':')[1]?.trim().split(/\s+/).map(Number) ?? []
  return (counts[0] ?? 0) + (counts[8] ?? 0)
}

async function read(pid: number, file: string): Promise<string> {
  return await readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')
}
