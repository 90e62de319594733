/**
 * Runs one command to its end. Every wait of the testbed on the system goes through here, so that
 * none is without a deadline and a failed command is reported with what it said.
 */
import { spawn } from 'node:child_process'
import { CommandError } from './errors.ts'

export type CommandOptions = Readonly<{
  /** Written to the command's stdin; keeps secrets off command lines. */
  input?: string
  signal?: AbortSignal
  /** Generous: the machine may be busy with other tests. */
  deadlineMs?: number
  env?: Readonly<Record<string, string>>
}>

/** A network namespace's command prefix. `ip netns exec` would remount /sys, which breaks dockerd. */
export function insideNamespace(path: string, command: readonly string[]): string[] {
  return ['nsenter', `--net=${path}`, '--', ...command]
}

/** Resolves to stdout. @throws {CommandError} exit status not 0, or the deadline has passed. */
export async function runCommand(
  command: readonly string[],
  { input = '', signal, deadlineMs = 60_000, env }: CommandOptions = {},
): Promise<string> {
  signal?.throwIfAborted()
  const [file = '', ...args] = command
  const deadline = AbortSignal.timeout(deadlineMs)
  const child = spawn(file, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C', ...env },
    signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    killSignal: 'SIGKILL',
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  child.stdin.on('error', () => {}) // a command that reads no input may be gone already
  child.stdin.end(input)
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  child.once('error', (error) => {
    if (signal?.aborted) reject(signal.reason)
    else reject(new CommandError(command, deadline.aborted ? 'too slow' : error.message, text(err)))
  })
  child.once('close', (code, killer) => {
    if (code === 0) resolve(text(out))
    else reject(new CommandError(command, `ended with ${code ?? killer}`, text(err)))
  })
  return await promise
}

function text(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString('utf8')
}
