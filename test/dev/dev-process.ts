/** `potluck dev` as its users start it: a process, a line of JSON, a signal. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

export type Ready = Readonly<{
  baseUrl: string
  apiKey: string
  organization: string
  project: string
  nodes: number
  image: string
  registry?: string
  folder: string
  processes: Readonly<Record<string, number>>
}>

export type Dev = Readonly<{
  child: ChildProcess
  ready: Ready
  readyMs: number
  stdoutLines: readonly string[]
  /** What it told on stderr so far. */
  story: () => string
  /** Sends a signal, and resolves to the exit code when it has ended. */
  end(signal: NodeJS.Signals): Promise<number | null>
}>

/** Resolves when it is ready. @throws {Error} it ended before, with its story. */
export async function startDev(...args: readonly string[]): Promise<Dev> {
  const startedMs = performance.now()
  const { child, story, lines, closed } = spawnDev(args)
  const first = once(lines, 'line').then(([line]) => line as string)
  const line = await Promise.race([
    first,
    closed.then((code) => {
      throw new Error(`potluck dev ended with ${code}: ${story()}`)
    }),
  ])
  const readyMs = performance.now() - startedMs
  const stdoutLines = [line]
  lines.on('line', (text) => stdoutLines.push(text))
  return {
    child,
    ready: JSON.parse(line) as Ready,
    readyMs,
    stdoutLines,
    story,
    async end(signal) {
      child.kill(signal)
      return await closed
    },
  }
}

/** What one of its nodes or caches said when it was ready, as its log has it. */
export async function readyOf({ ready }: Dev, name: string) {
  const log = await readFile(join(ready.folder, `${name}.log`), 'utf8')
  const line = log.split('\n').find((text) => text.startsWith('{"process"')) ?? '{}'
  return JSON.parse(line) as Readonly<{ peer: string; metrics: string }>
}

/** The peer id of one of its nodes. */
export async function peerOf(dev: Dev, name: string): Promise<string> {
  return (await readyOf(dev, name)).peer
}

/** Runs it to its end; for what does not start. */
export async function runDev(...args: readonly string[]) {
  const { story, closed } = spawnDev(args)
  return { code: await closed, story: story() }
}

function spawnDev(args: readonly string[]) {
  const command = ['scripts/potluck.ts', 'dev', '--json', ...args]
  const child = spawn(process.execPath, command, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  const closed = once(child, 'close').then(([code]) => code as number | null)
  return { child, story: () => text, lines: createInterface({ input: child.stdout }), closed }
}
