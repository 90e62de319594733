/**
 * Whether the engine can reach this machine's loopback, where images are served to it: Docker
 * Desktop's runs in a machine of its own and cannot. Asked by doing: the engine is told to pull from
 * a port that serves nothing, and it is seen whether it comes. No password is shown.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { errorCode } from '../../protocol/errors.ts'
import type { PullSource } from './engine.ts'

/** An engine that is refused says so at once; one that is firewalled off would wait for long. */
const probeMs = 15_000

/**
 * @param pull the engine's own pull
 * @throws {EngineError} ENGINE_UNREACHABLE: there is no engine to ask. @throws the signal's reason
 */
export async function reachesLoopback(
  pull: (source: PullSource, options: { readonly signal: AbortSignal }) => Promise<void>,
  { signal }: { readonly signal: AbortSignal },
): Promise<boolean> {
  const seen = new AbortController()
  const path = `probe-${randomBytes(8).toString('hex')}`
  const server = createServer({ requestTimeout: probeMs }, (request, response) => {
    seen.abort()
    response.writeHead(404).end()
    request.socket.destroySoon()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const reference = `127.0.0.1:${port}/${path}@sha256:${randomBytes(32).toString('hex')}`
  try {
    const until = AbortSignal.any([signal, seen.signal, AbortSignal.timeout(probeMs)])
    await pull({ reference, username: 'probe', password: '-' }, { signal: until })
    return true
  } catch (error) {
    signal.throwIfAborted()
    if (!seen.signal.aborted && errorCode(error) === 'ENGINE_UNREACHABLE') throw error
    return seen.signal.aborted
  } finally {
    server.closeAllConnections()
    server.close()
  }
}
