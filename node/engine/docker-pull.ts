/**
 * One pull, from the node's own endpoint. dockerode's `pull` resolves when the pull starts, and
 * Docker answers 200 before it knows how it ends: whoever does not read the stream to its end and
 * look for `errorDetail` takes a failed pull for a good one (dockerode#647).
 */
import type { Readable } from 'node:stream'
import { parsePullEvent } from './docker-answers.ts'
import type { DockerApi } from './docker-api.ts'
import type { PullProgress, PullSource } from './engine.ts'
import { EngineError } from './errors.ts'

/** The swarm may need hours for a large image over thin lines; the caller's signal ends it sooner. */
export const pullTimeoutMs = 12 * 3_600_000
/** A line of the stream is some hundred bytes; an error may quote more. */
const lineBytesMax = 1 << 20

export type PullOptions = Readonly<{
  signal: AbortSignal
  onProgress?: (progress: PullProgress) => void
}>

/** @throws {EngineError} PULL_FAILED with Docker's own words, the password taken out. */
export async function pullImage(
  { docker, call }: DockerApi,
  source: PullSource,
  { signal, onProgress }: PullOptions,
): Promise<void> {
  const host = source.reference.slice(0, source.reference.indexOf('/'))
  const { username, password } = source
  const authconfig = { username, password, serveraddress: host }
  try {
    await call(`pull ${source.reference}`, { signal, timeoutMs: pullTimeoutMs }, async (abort) => {
      const request = { fromImage: source.reference, abortSignal: abort }
      const stream = await docker.createImage(authconfig, request)
      await followPull(stream as Readable, abort, onProgress)
    })
  } catch (error) {
    if (!(error instanceof EngineError) || error.code === 'ENGINE_UNREACHABLE') throw error
    const words = error.message.replaceAll(password, '***')
    throw new EngineError('PULL_FAILED', words, { fields: error.fields })
  }
}

/** Reads the stream of a pull or a load to its end. @throws {EngineError} PULL_FAILED: it failed. */
export async function followPull(
  stream: Readable,
  signal: AbortSignal,
  onProgress?: PullOptions['onProgress'],
): Promise<void> {
  const layers = createLayerCount()
  for await (const line of linesOf(stream, signal)) {
    const event = parsePullEvent(JSON.parse(line))
    const failure = event.errorDetail?.message ?? event.error
    if (failure !== undefined) throw new EngineError('PULL_FAILED', `pull: ${failure}`)
    if (layers.see(event)) onProgress?.(layers.progress())
  }
}

async function* linesOf(stream: Readable, signal: AbortSignal): AsyncGenerator<string> {
  const stop = (): void => void stream.destroy(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    let rest = ''
    for await (const piece of stream.setEncoding('utf8')) {
      rest += piece
      const lines = rest.split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > lineBytesMax) {
        throw new EngineError('ENGINE_BAD_ANSWER', `pull: a line exceeds ${lineBytesMax} bytes`)
      }
      yield* lines.map((line) => line.trim()).filter((line) => line.length > 0)
    }
    if (rest.trim().length > 0) yield rest.trim()
  } finally {
    signal.removeEventListener('abort', stop)
    stream.destroy()
  }
}

/** Counts layers by Docker's own words for their stages. */
export function createLayerCount(): {
  see(event: { readonly id?: string; readonly status?: string }): boolean
  progress(): PullProgress
} {
  const seen = new Map<string, boolean>()
  return {
    /** True when the counts changed. */
    see({ id, status }) {
      if (id === undefined || status === undefined) return false
      const isDone = status === 'Pull complete' || status === 'Already exists'
      const isLayer = isDone || status === 'Pulling fs layer' || status === 'Waiting'
      if (!isLayer || seen.get(id) === true || (seen.has(id) && !isDone)) return false
      seen.set(id, isDone)
      return true
    },
    progress: () => ({
      layersTotal: seen.size,
      layersDone: [...seen.values()].filter((isDone) => isDone).length,
    }),
  }
}
