/**
 * One process of the network that can be killed, frozen and started again with what it has on its
 * disk. Each start has a log of its own, so that what a process says of itself since its last start
 * is told apart from what one before it said.
 */
import { readFile } from 'node:fs/promises'
import { startChild } from '../../scripts/dev/child.ts'
import type { Child } from '../../scripts/street/child.ts'
import { connected, ready } from '../../scripts/street/potluck.ts'

export type MemberInit = Readonly<{
  name: string
  role: 'coordinator' | 'cache' | 'node'
  command: readonly string[]
  env: Readonly<Record<string, string | undefined>>
  folder: string
}>

export interface Member {
  readonly name: string
  readonly role: MemberInit['role']
  readonly isUp: boolean
  readonly pid: number
  /** How often it was started. */
  readonly starts: number
  /** Its peer id; known once it was ready. */
  readonly peer: string
  start(): void
  /** Resolves with its ready line when it takes orders (a coordinator: requests). */
  ready(signal: AbortSignal): Promise<Readonly<Record<string, unknown>>>
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>
  /** SIGTERM, and SIGKILL if that takes too long. */
  stop(graceMs: number): Promise<void>
  signal(name: NodeJS.Signals): void
  /** What it logged since its last start. */
  log(): Promise<readonly LogLine[]>
  /** Of one of its earlier starts, from 1. */
  logOf(start: number): Promise<readonly LogLine[]>
}

export type LogLine = Readonly<Record<string, unknown> & { msg?: string; time?: unknown }>

/** The caller's signal is the nearer bound. */
const readyMs = 300_000

export function createMember(init: MemberInit): Member {
  const { name, role, command, env, folder } = init
  let child: Child | undefined
  let starts = 0
  let peer = ''
  const logFile = (start: number): string => `${folder}/${name}.${start}.log`
  const running = (): Child => {
    if (child) return child
    throw new Error(`${name} was never started`)
  }
  const logOf = async (start: number): Promise<readonly LogLine[]> => {
    const text = await readFile(logFile(start), 'utf8').catch(() => '')
    return text.split('\n').flatMap(parseLine)
  }
  return {
    name,
    role,
    get isUp() {
      return child !== undefined && child.exit === undefined
    },
    get pid() {
      return running().pid
    },
    get starts() {
      return starts
    },
    get peer() {
      return peer
    },
    start() {
      if (child && child.exit === undefined) throw new Error(`${name} runs already`)
      starts += 1
      child = startChild({ name, command, env, logFile: logFile(starts) })
    },
    async ready(signal) {
      const now = running()
      const wait = { signal, deadlineMs: readyMs }
      const line = await ready(now, wait)
      peer = String(line.peer)
      if (role !== 'coordinator') await connected(now, wait)
      return line
    },
    async kill() {
      child?.kill('SIGKILL')
      await child?.exited
    },
    async stop(graceMs) {
      await child?.stop({ graceMs })
    },
    signal: (signalName) => running().kill(signalName),
    log: () => logOf(starts),
    logOf,
  }
}

/** The last line of a killed process may be cut off. */
function parseLine(text: string): LogLine[] {
  if (!text.startsWith('{')) return []
  try {
    return [JSON.parse(text) as LogLine]
  } catch {
    return []
  }
}
