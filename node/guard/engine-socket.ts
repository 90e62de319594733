/**
 * The two questions that the guard asks an engine, over its unix socket and nothing else: dockerode
 * and all it loads would double the memory of a process that sleeps.
 * Source: Docker Engine API v1.41, containers.
 */
import { request } from 'node:http'
import type { PeerId } from '../../protocol/ids.ts'
import type { RunningContainer } from './plan.ts'

const callMs = 10_000

export interface EngineSocket {
  /** This node's containers that run or are paused. */
  running(): Promise<readonly RunningContainer[]>
  /** SIGKILL: a lease that ended leaves no time for farewells. Harmless when it has ended. */
  kill(containerId: string): Promise<void>
}

/** Talks to the engine at `socketPath`. @throws what the socket says, as an Error. */
export function createEngineSocket(socketPath: string, node: PeerId): EngineSocket {
  const call = (method: string, path: string): Promise<{ status: number; body: string }> =>
    new Promise((resolve, reject) => {
      const asked = request(
        { socketPath, method, path: `/v1.40${path}`, signal: AbortSignal.timeout(callMs) },
        (response) => {
          const parts: Buffer[] = []
          response.on('data', (part: Buffer) => parts.push(part))
          response.on('error', reject)
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString() }),
          )
        },
      )
      asked.on('error', reject)
      asked.end()
    })
  return {
    async running() {
      const filters = encodeURIComponent(
        JSON.stringify({ label: [`potluck.node=${node}`], status: ['running', 'paused'] }),
      )
      const { status, body } = await call('GET', `/containers/json?filters=${filters}`)
      if (status !== 200) throw new Error(`the engine answers ${status} to a list of containers`)
      const listed = JSON.parse(body) as { Id: string; Labels: Record<string, string> }[]
      return listed.map(({ Id, Labels }) => ({
        id: Id,
        instance: Labels['potluck.instance'] ?? '',
      }))
    },
    async kill(containerId) {
      await call('POST', `/containers/${containerId}/kill?signal=KILL`)
    },
  }
}
