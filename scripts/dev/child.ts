/**
 * One process of a development network. It runs in a process group of its own, so that Ctrl-C
 * reaches `potluck dev` alone, which then stops each in order; and it is tied to us by its stdin
 * (tether.ts), so that it ends when we do, however we end.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Child, watchChild } from '../street/child.ts'
import { runVariable } from '../street/processes.ts'
import { insideNamespace } from '../street/run-command.ts'
import { compileCache } from './compile-cache.ts'
import type { Run } from './run.ts'

export type ChildInit = Readonly<{
  name: string
  command: readonly string[]
  env: Readonly<Record<string, string | undefined>>
  logFile: string
}>

const potluck = fileURLToPath(new URL('../potluck.ts', import.meta.url))
const tether = new URL('./tether.ts', import.meta.url).href
/** Of a start: enough to find the line that says ready, and to tell why there was none. */
const linesMax = 400

export function startChild({ name, command, env, logFile }: ChildInit): Child {
  const [program = '', ...args] = command
  const child = spawn(program, args, {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...env },
  })
  child.stdin.on('error', () => {})
  return watchChild(child, { name, logFile, linesMax })
}

/** @param config file with its settings @param namespace a path; the host's own when left out */
export function tetheredCommand(
  noun: string,
  config: string,
  { logLevel, namespace }: Readonly<{ logLevel: string; namespace: string | undefined }>,
): readonly string[] {
  const command = [
    ...[process.execPath, '--import', tether, potluck, noun, 'run'],
    ...['--config', config, '--json', '--log-level', logLevel],
  ]
  return namespace === undefined ? command : insideNamespace(namespace, command)
}

/** Of a process of `run`: settings in the environment of who starts us are for another network. */
export function environmentOf(run: Run, env: ChildInit['env']): ChildInit['env'] {
  const foreign = Object.entries(env).filter(([name]) => !name.startsWith('POTLUCK_'))
  return {
    NODE_COMPILE_CACHE: compileCache,
    ...Object.fromEntries(foreign),
    [runVariable]: run.name,
  }
}
