/**
 * One process of a development network. It runs in a process group of its own, so that Ctrl-C
 * reaches `potluck dev` alone, which then stops each in order; and it is tied to us by its stdin
 * (tether.ts), so that it ends when we do, however we end.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { PotluckError } from '../../protocol/errors.ts'

export type ChildInit = Readonly<{
  name: string
  command: readonly string[]
  env: Readonly<Record<string, string | undefined>>
  logFile: string
}>

export type Exit = Readonly<{ code: number | null; signal: NodeJS.Signals | null }>
export type Wait = Readonly<{ signal: AbortSignal }>

export interface Child {
  readonly name: string
  readonly pid: number
  /** Resolves, never rejects, when it has ended. */
  readonly exited: Promise<Exit>
  /** Undefined while it runs. */
  readonly exit: Exit | undefined
  /**
   * The first line, past ones included, that `match` turns into something.
   * @throws {ChildEndedError} it ended first.
   */
  waitFor<T>(match: (line: string) => T | undefined, wait: Wait): Promise<T>
  kill(signal: NodeJS.Signals): void
  /** SIGTERM, then SIGKILL after `graceMs`. Harmless when it has ended. */
  stop(graceMs: number): Promise<Exit>
}

/** A process of the network ended by itself; `message` has its last lines, for its log goes too. */
export class ChildEndedError extends PotluckError {
  constructor(name: string, exit: Exit, tail: readonly string[]) {
    const last = tail.length > 0 ? `; its last lines:\n${tail.join('\n')}` : ''
    super('DEV_PROCESS_ENDED', `${describeExit(name, exit)}${last}`, { fields: { name } })
  }
}

/** `cache ended with SIGKILL` */
export function describeExit(name: string, { code, signal }: Exit): string {
  return `${name} ended with ${signal ?? `status ${code}`}`
}

/** Of a start; enough to find the line that says ready, and to tell why there was none. */
const linesMax = 400
const tailLines = 8
/** Pipes may be held open by a grandchild for ever. */
const lateLinesMs = 500

export function startChild(init: ChildInit): Child {
  const { name, command } = init
  const [program = '', ...args] = command
  const process = spawn(program, args, {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...init.env },
  })
  const lines: string[] = []
  const listeners = new Set<(line: string) => void>()
  let exit: Exit | undefined
  const exited = collect(process, init.logFile, (line) => {
    lines.push(line)
    if (lines.length > linesMax) lines.shift()
    for (const listener of listeners) listener(line)
  }).then((end) => {
    exit = end
    return end
  })
  const child: Child = {
    name,
    pid: process.pid ?? 0,
    exited,
    get exit() {
      return exit
    },
    async waitFor(match, { signal }) {
      signal.throwIfAborted()
      for (const line of lines) {
        const found = match(line)
        if (found !== undefined) return found
      }
      const waiting = Promise.withResolvers<NonNullable<ReturnType<typeof match>>>()
      const listener = (line: string): void => {
        const found = match(line)
        if (found !== undefined && found !== null) waiting.resolve(found)
      }
      const abort = (): void => waiting.reject(signal.reason)
      listeners.add(listener)
      signal.addEventListener('abort', abort, { once: true })
      void exited.then((end) =>
        waiting.reject(new ChildEndedError(name, end, lines.slice(-tailLines))),
      )
      try {
        return await waiting.promise
      } finally {
        listeners.delete(listener)
        signal.removeEventListener('abort', abort)
      }
    },
    kill(signal) {
      if (!exit) process.kill(signal)
    },
    async stop(graceMs) {
      child.kill('SIGTERM')
      const harder = setTimeout(() => child.kill('SIGKILL'), graceMs)
      return await exited.finally(() => clearTimeout(harder))
    },
  }
  return child
}

/** Hands on the lines of stdout and stderr, and writes them to the log, until the process ends. */
async function collect(
  process: ChildProcess,
  logFile: string,
  take: (line: string) => void,
): Promise<Exit> {
  const log = createWriteStream(logFile, { flags: 'a', mode: 0o600 })
  log.on('error', () => {}) // a full disk, or a folder that is gone: the process matters more
  process.stdin?.on('error', () => {})
  for (const input of [process.stdout, process.stderr]) {
    if (!input) continue
    createInterface({ input }).on('line', (line) => {
      log.write(`${line}\n`)
      take(line)
    })
  }
  const { promise, resolve } = Promise.withResolvers<Exit>()
  process.once('error', (error) => {
    take(error.message)
    resolve({ code: 127, signal: null })
  })
  process.once('exit', (code, signal) => {
    const late = setTimeout(() => resolve({ code, signal }), lateLinesMs)
    process.once('close', () => {
      clearTimeout(late)
      setImmediate(() => resolve({ code, signal })) // readline hands out its last line in this turn
    })
  })
  const exit = await promise
  log.end()
  return exit
}

/** For {@link Child.waitFor}: the JSON line on stdout that `--json` prints when it is ready. */
export function readyLine(line: string): Readonly<Record<string, unknown>> | undefined {
  const parsed = parseLine(line)
  return parsed && 'process' in parsed ? parsed : undefined
}

/** For {@link Child.waitFor}: a log line with this message. */
export function logLine(message: string): (line: string) => true | undefined {
  return (line) => (parseLine(line)?.msg === message ? true : undefined)
}

function parseLine(line: string): Readonly<Record<string, unknown>> | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return undefined
  }
}
