/**
 * Processes of this machine, as /proc shows them: found by what they are, for they may be of a run
 * whose owner was killed, and ended by force, for a sweep must not wait for their goodbyes.
 */
import { readdir, readFile, readlink } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

export type ProcessSight = Readonly<{
  pid: number
  words: readonly string[]
  /** `NAME=value` each. */
  environment: readonly string[]
  cgroup: string
  /** As /proc/PID/ns/net has it, `net:[…]`. */
  netns: string
}>

const killMs = 5_000
const againMs = 20

/** Those but this one that `is` true of, and that have not ended. */
export async function findProcesses(
  is: (sight: ProcessSight) => boolean,
): Promise<readonly ProcessSight[]> {
  const found: ProcessSight[] = []
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)) {
    if (pid === process.pid) continue
    const [status, command, environment, cgroup, netns] = await Promise.all([
      read(pid, 'stat'),
      read(pid, 'cmdline'),
      read(pid, 'environ'),
      read(pid, 'cgroup'),
      readlink(`/proc/${pid}/ns/net`).catch(() => ''),
    ])
    const ended = status === '' || / [ZX] /.test(status.slice(status.lastIndexOf(')'))) // not reaped yet
    const sight = { pid, words: command.split('\0'), environment: environment.split('\0') }
    if (!ended && is({ ...sight, cgroup, netns })) found.push({ ...sight, cgroup, netns })
  }
  return found
}

/** SIGKILL until none is left that `is` true of; gives up after 5 s. */
export async function killProcesses(is: (sight: ProcessSight) => boolean): Promise<void> {
  const endsMs = performance.now() + killMs
  while (performance.now() < endsMs) {
    const found = await findProcesses(is)
    if (found.length === 0) return
    for (const { pid } of found) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // it has ended meanwhile
      }
    }
    await sleep(againMs)
  }
}

/** Empty when the process has ended meanwhile, or is a kernel thread. */
async function read(pid: number, file: string): Promise<string> {
  return await readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')
}
