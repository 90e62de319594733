/**
 * Processes of an engine that outlives the daemon that started it. A pid alone says nothing (it may
 * be another program's by now), and a pid file may be missing after a kill at the wrong moment; so
 * processes are known by what their command lines say, and watched by pid and start time together.
 */
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

export type ProcessIdentity = Readonly<{
  pid: number
  /** Clock ticks from boot to its start; with the pid it names one process for ever. */
  startTicks: string
}>

export type FoundProcess = ProcessIdentity & { readonly args: readonly string[] }

/** Living processes whose program is `program` and whose arguments hold `argument`. */
export async function findProcesses(
  program: string,
  argument: string,
): Promise<readonly FoundProcess[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const found = await Promise.all(pids.map((pid) => matching(pid, program, argument)))
  return found.filter((identity) => identity !== undefined)
}

async function matching(
  pid: number,
  program: string,
  argument: string,
): Promise<FoundProcess | undefined> {
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  const [first = '', ...rest] = line.split('\0')
  if (!first.endsWith(program) || !rest.includes(argument)) return undefined
  const identity = await identify(pid)
  return identity && { ...identity, args: rest }
}

/** The living process with this pid; undefined for none and for a zombie. */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  if (stat === undefined) return undefined
  // The name in parentheses may hold blanks: count fields after it (proc(5): state is field 3).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state, startTicks] = [fields[0], fields[19]]
  if (state === 'Z' || state === 'X' || startTicks === undefined) return undefined
  return { pid, startTicks }
}

export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  return (await identify(identity.pid))?.startTicks === identity.startTicks
}

/** SIGTERM, then SIGKILL after `graceMs`; resolves when all are gone. */
export async function endProcesses(
  identities: readonly ProcessIdentity[],
  graceMs: number,
): Promise<void> {
  await Promise.all(
    identities.map(async (identity) => {
      await signalTo(identity, 'SIGTERM')
      if (await untilGone(identity, graceMs)) return
      await signalTo(identity, 'SIGKILL')
      await untilGone(identity, killWaitMs)
    }),
  )
}

/** A killed process is gone in milliseconds, unless it hangs in a disk that does. */
const killWaitMs = 5_000
const pollMs = 10

async function signalTo(identity: ProcessIdentity, signal: NodeJS.Signals): Promise<void> {
  if (!(await isAlive(identity))) return
  try {
    process.kill(identity.pid, signal)
  } catch {
    // Gone between the look and the signal.
  }
}

/** Polls: the processes are not our children after a restart, and /proc has no events. */
async function untilGone(identity: ProcessIdentity, waitMs: number): Promise<boolean> {
  for (let leftMs = waitMs; leftMs > 0; leftMs -= pollMs) {
    if (!(await isAlive(identity))) return true
    await sleep(pollMs)
  }
  return !(await isAlive(identity))
}
