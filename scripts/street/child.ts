/**
 * A long-lived child process as its owner sees it. Its lines go to a file and to whoever waits for
 * one, so that "ready" is waited for by event, never by sleeping.
 */
import type { ChildProcess } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { finished } from 'node:stream/promises'
import { NotReadyError } from './errors.ts'

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
  /** The lines so far, oldest first; only the newest are kept. */
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

export type WatchInit = Readonly<{
  name: string
  logFile: string
  /** How many lines to look back on; the file has them all. */
  linesMax?: number
}>

/** Pipes may be held open by a grandchild for ever. */
const lateLinesMs = 1_000

/** Watches a process that was just spawned. */
export function watchChild(process: ChildProcess, init: WatchInit): Child {
  const { name, logFile, linesMax = 10_000 } = init
  const lines: Line[] = []
  const listeners = new Set<(line: Line) => void>()
  let exit: Exit | undefined
  const exited = collectLines(process, logFile, (line) => {
    lines.push(line)
    if (lines.length > linesMax) lines.shift()
    for (const listener of listeners) listener(line)
  }).then((end) => {
    exit = end
    return end
  })
  const child: Child = {
    ...{ name, logFile, exited },
    pid: process.pid ?? 0, // 0: it never started; `exited` says so
    get exit() {
      return exit
    },
    lines: () => lines,
    onLine(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    waitFor: (match, wait) => waitForLine(child, match, wait),
    kill(signal = 'SIGKILL') {
      if (!exit) process.kill(signal)
    },
    async stop({ graceMs = 15_000 } = {}) {
      child.kill('SIGTERM')
      const harder = setTimeout(() => child.kill('SIGKILL'), graceMs)
      return await exited.finally(() => clearTimeout(harder))
    },
  }
  return child
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

/** Hands on the lines of stdout and stderr, and writes them to the log, until the process ends. */
async function collectLines(
  child: ChildProcess,
  logFile: string,
  take: (line: Line) => void,
): Promise<Exit> {
  const log = createWriteStream(logFile, { flags: 'a', mode: 0o600 })
  log.on('error', () => {}) // a full disk, or a folder that is gone: the process matters more
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
    const late = setTimeout(end, lateLinesMs)
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
  await finished(log).catch(() => {})
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
