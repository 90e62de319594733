/**
 * The folder and the name of one run of `potluck dev`. All that it makes (files, namespaces,
 * firewall rules) bears the name, and the name says whose it is: so a later run finds what one
 * that was killed left behind, and never touches what a living one has.
 */
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

export type Run = Readonly<{ name: string; path: string }>

const form = /^potluck-dev-(\d+)-(\d+)$/

/** Makes the folder of this process's run in `parent`. */
export async function createRun(parent: string): Promise<Run> {
  const name = `potluck-dev-${process.pid}-${(await startTicks(process.pid)) ?? 0}`
  const path = join(parent, name)
  await mkdir(path, { recursive: true, mode: 0o700 })
  return { name, path }
}

/** Runs in `parents` whose process is no more. */
export async function deadRuns(parents: readonly string[]): Promise<Run[]> {
  const runs: Run[] = []
  for (const parent of new Set(parents)) {
    for (const name of await readdir(parent).catch(() => [])) {
      if (await isDead(name)) runs.push({ name, path: join(parent, name) })
    }
  }
  return runs
}

/** Whether `name` is a run's, and its process has ended. */
export async function isDead(name: string): Promise<boolean> {
  const [, pid, ticks] = form.exec(name) ?? []
  if (!pid || !ticks) return false
  try {
    process.kill(Number(pid), 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
  // The pid may be another's by now; with its start time it names one process for ever.
  const started = await startTicks(Number(pid))
  return started !== undefined && ticks !== '0' && started !== ticks
}

/** Clock ticks from boot to a process's start; undefined where there is no /proc. */
async function startTicks(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  // The name in parentheses may hold blanks: count fields after it (proc(5): 22 is starttime).
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}
