/** Starts hosts of these tests in namespaces, speaks to them, and reads their lines' counters. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Host } from '../../scripts/street/index.ts'
import { insideNamespace } from '../../scripts/street/run-command.ts'
import type { Task } from './peer.ts'

const program = fileURLToPath(new URL('peer.ts', import.meta.url))

export interface TestHost {
  /** Resolves with the answer. @throws what the host threw. */
  ask<T extends object>(task: Task): Promise<T>
  /** Bytes that its line has carried so far, by the kernel's counters of its interface. */
  counters(): Promise<Readonly<{ inBytes: number; outBytes: number }>>
  stop(): Promise<void>
}

/** A process of `peer.ts` in the namespace of `at`. */
export function startHost({ namespace }: Host): TestHost {
  const [command = '', ...args] = insideNamespace(namespace.path, [process.execPath, program])
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async ask<T extends object>(task: Task) {
      child.stdin.write(`${JSON.stringify(task)}\n`)
      const { value, done } = await answers.next()
      if (done) throw new Error(`a host ended during "${task.do}"`)
      const answer = JSON.parse(value) as T & { error?: string }
      if (answer.error) throw new Error(answer.error)
      return answer
    },
    counters: () => countersOf(child.pid ?? 0),
    stop: () => end(child),
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const exited = once(child, 'exit')
  child.stdin?.end()
  await exited
}

async function countersOf(pid: number) {
  const table = await readFile(`/proc/${pid}/net/dev`, 'utf8')
  const line = table.split('\n').find((text) => text.trim().startsWith('eth0:'))
  const counts = line?.split(':')[1]?.trim().split(/\s+/).map(Number) ?? []
  return { inBytes: counts[0] ?? 0, outBytes: counts[8] ?? 0 }
}

/** Bytes a second that the line of `host` carries over the next `ms`. */
export async function lineRate(host: TestHost, ms: number) {
  const [before, startMs] = [await host.counters(), performance.now()]
  await sleep(ms)
  const [after, seconds] = [await host.counters(), (performance.now() - startMs) / 1_000]
  return {
    inBytesPerS: (after.inBytes - before.inBytes) / seconds,
    outBytesPerS: (after.outBytes - before.outBytes) / seconds,
  }
}
