/**
 * The long-lived children of a run: daemons, engines, registries. Each dies with this process, so
 * that a test that was killed leaves nothing running.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { type Child, watchChild } from './child.ts'
import { insideNamespace } from './run-command.ts'
import type { RunFolder } from './run-folder.ts'

/** Set in the environment of every child, and so of all that it starts; see leftovers.ts. */
export const runVariable = 'POTLUCK_RUN'

export type ChildInit = Readonly<{
  /** Also names the log file. */
  name: string
  command: readonly string[]
  /** Path of a network namespace; this process's own when left out. */
  namespace?: string
  cwd?: string
  env?: Readonly<Record<string, string>>
  /** Sent by the kernel when this process dies. TERM for those that must clean up behind them. */
  deathSignal?: 'KILL' | 'TERM'
}>

export interface Processes {
  start(init: ChildInit): Child
  /** Those that have not ended. */
  running(): readonly Child[]
  /** Stops all, newest first. */
  stopAll(options?: { readonly graceMs?: number }): Promise<void>
}

export function createProcesses({ run }: { readonly run: RunFolder }): Processes {
  const children: Child[] = []
  const running = (): Child[] => children.filter((child) => child.exit === undefined)
  return {
    start(init) {
      const logFile = join(run.path, `${init.name}.log`)
      const child = watchChild(spawnChild(init, run), { name: init.name, logFile })
      children.push(child)
      return child
    },
    running,
    async stopAll(options) {
      for (const child of running().toReversed()) await child.stop(options)
    },
  }
}

function spawnChild(init: ChildInit, run: RunFolder): ChildProcess {
  const mortal = ['setpriv', '--pdeathsig', init.deathSignal ?? 'KILL', '--', ...init.command]
  const command = init.namespace ? insideNamespace(init.namespace, mortal) : mortal
  return spawn(command[0] ?? '', command.slice(1), {
    // A group of its own: Ctrl-C reaches us alone, who then stop each once and in order.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...init.env, [runVariable]: run.name },
    ...(init.cwd ? { cwd: init.cwd } : {}),
  })
}
