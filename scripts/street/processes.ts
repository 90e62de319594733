/**
 * The long-lived children of a run: daemons, engines, registries. Each one's lines go to a file and
 * to whoever waits for one, so that a test waits for "ready" by event, never by sleeping; and each
 * dies with this process, so that a test that was killed leaves nothing running.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { NotReadyError } from './errors.ts'
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

export type Exit = Readonly<{ code: number | null; signal: NodeJS.Signals | null }>
export type Line = Readonly<{ stream: 'stdout' | 'stderr'; text: string }>
export type Wait = Readonly<{ signal?: AbortSignal; deadlineMs?: number }>

export interface Child {
  readonly name: string
  readonly pid: number
  readonly logFile: string
  /** Resolves, never rejects, when the process has ended and all its lines are in. */
  readonly exited: Promise<Exit>
  /** Undefined while it runs. */
  readonly exit: Exit | undefined
  /** The lines so far, oldest first; only the newest {@link linesMax} are kept. */
  lines(): readonly Line[]
  /**
   * The first line, past ones included, that `match` turns into something.
   * @throws {NotReadyError} the child ended or the deadline (30 s) passed first.
   */
  waitFor<T>(match: (line: Line) => T | undefined, wait?: Wait): Promise<T>
  /** Calls back for each line to come. Returns how to stop that. */
  onLine(listener: (line: Line) => void): () => void
  kill(signal?: NodeJS.Signals): void
  /** SIGTERM, and SIGKILL after `graceMs`; harmless when it has ended already. */
  stop(options?: { readonly graceMs?: number }): Promise<Exit>
}

export interface Processes {
  start(init: ChildInit): Child
  /** Those that have not ended. */
  running(): readonly Child[]
  /** Stops all, newest first. */
  stopAll(options?: { readonly graceMs?: number }): Promise<void>
}

/** Enough for a test to look back on; the file has them all. */
const linesMax = 10_000

export function createProcesses({ run }: { readonly run: RunFolder }): Processes {
  const children: Child[] = []
  const running = (): Child[] => children.filter((child) => child.exit === undefined)
  return {
    start(init) {
      const child = startChild(init, run)
      children.push(child)
      return child
    },
    running,
    async stopAll(options) {
      for (const child of running().toReversed()) await child.stop(options)
    },
  }
}

/** For {@link Child.waitFor}: the first line that `pattern` matches. */
export function pattern(expression: RegExp): (line: Line) => RegExpExecArray | undefined {
  return ({ text }) => expression.exec(text) ?? undefined
}

/** For {@link Child.waitFor}: the first line of stdout that is a JSON object. */
export function jsonLine({ stream, text }: Line): Record<string, unknown> | undefined {
  if (stream !== 'stdout' || !text.startsWith('{')) return undefined
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return undefined
  }
}

function startChild(init: ChildInit, run: RunFolder): Child {
  const logFile = join(run.path, `${init.name}.log`)
  const process_ = spawnChild(init, run)
  const lines: Line[] = []
  const listeners = new Set<(line: Line) => void>()
  let exit: Exit | undefined
  const exited = collectLines(process_, createWriteStream(logFile, { flags: 'a' }), (line) => {
    lines.push(line)
    if (lines.length > linesMax) lines.shift()
    for (const listener of listeners) listener(line)
  }).then((end) => {
    exit = end
    return end
  })
  const onLine: Child['onLine'] = (listener) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  }
  const child: Child = {
    name: init.name,
    pid: process_.pid ?? 0, // 0: it never started; `exited` says so
    logFile,
    exited,
    get exit() {
      return exit
    },
    lines: () => lines,
    onLine,
    waitFor: (match, wait) => waitForLine(child, match, wait),
    kill(signal = 'SIGKILL') {
      if (!exit) process_.kill(signal)
    },
    async stop({ graceMs = 15_000 } = {}) {
      child.kill('SIGTERM')
      const harder = setTimeout(() => child.kill('SIGKILL'), graceMs)
      return await exited.finally(() => clearTimeout(harder))
    },
  }
  return child
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

async function collectLines(
  child: ChildProcess,
  log: WriteStream,
  take: (line: Line) => void,
): Promise<Exit> {
  for (const stream of ['stdout', 'stderr'] as const) {
    const source = child[stream]
    if (!source) continue
    createInterface({ input: source }).on('line', (text) => {
      log.write(`${text}\n`)
      take({ stream, text })
    })
  }
  const { promise, resolve } = Promise.withResolvers<Exit>()
  // 'exit' does not wait for the pipes, which a grandchild may hold open for ever; 'close' does.
  child.once('exit', (code, signal) => {
    const end = (): void => resolve({ code, signal })
    const late = setTimeout(end, 1_000)
    child.once('close', () => {
      clearTimeout(late)
      setImmediate(end) // readline hands out its last line in this turn
    })
  })
  child.once('error', (error) => {
    take({ stream: 'stderr', text: error.message })
    resolve({ code: 127, signal: null })
  })
  const end = await promise
  log.end()
  await once(log, 'close')
  return end
}

async function waitForLine<T>(
  child: Child,
  match: (line: Line) => T | undefined,
  { signal, deadlineMs = 30_000 }: Wait = {},
): Promise<T> {
  signal?.throwIfAborted()
  for (const line of child.lines()) {
    const found = match(line)
    if (found !== undefined) return found
  }
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const give = (reason: string): void => {
    const tail = child.lines().slice(-10)
    reject(new NotReadyError(child.name, reason, tail.map(({ text }) => text).join('\n')))
  }
  const stopListening = child.onLine((line) => {
    const found = match(line)
    if (found !== undefined) resolve(found)
  })
  const timer = setTimeout(() => give(`no such line in ${deadlineMs} ms`), deadlineMs)
  const abort = (): void => reject(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  void child.exited.then(({ code, signal: by }) => give(`ended with ${code ?? by} before that`))
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    stopListening()
    signal?.removeEventListener('abort', abort)
  }
}
