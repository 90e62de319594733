/**
 * TCP connections into a network namespace from this process, which lives outside it: a test that
 * talks HTTP to a coordinator in the street. One relay process a namespace listens on a unix
 * socket, reads `host:port` and a newline, dials that, and passes bytes both ways.
 */
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Agent } from 'undici'
import { type Child, pattern, type Wait } from './child.ts'
import type { Namespace } from './namespaces.ts'
import type { Processes } from './processes.ts'
import type { RunFolder } from './run-folder.ts'

export interface Reach {
  /** A socket to `host:port` as seen inside the namespace; it ends at once if nobody listens. */
  connect(host: string, port: number): Socket
  /** For undici's `request` and `fetch`: plain HTTP into the namespace. Close it when done. */
  agent(): Agent
  stop(): Promise<void>
}

export async function reachInto(
  namespace: Namespace,
  { processes, run, wait }: { processes: Processes; run: RunFolder; wait?: Wait },
): Promise<Reach> {
  const path = join(run.path, `${namespace.name}.reach`)
  const relay: Child = processes.start({
    name: `reach-${namespace.name}`,
    namespace: namespace.path,
    command: [process.execPath, fileURLToPath(new URL('reach-relay.ts', import.meta.url)), path],
  })
  await relay.waitFor(pattern(/^listening$/), wait)
  const dial = (host: string, port: number): Socket => {
    const socket = connect(path)
    socket.write(`${host}:${port}\n`)
    return socket
  }
  return {
    connect: dial,
    agent: () =>
      new Agent({
        connect({ hostname, port }, callback) {
          const socket = dial(hostname, Number(port || 80))
          socket.once('error', (error) => callback(error, null))
          socket.once('connect', () => callback(null, socket))
        },
      }),
    async stop() {
      await relay.stop({ graceMs: 1_000 })
    },
  }
}
