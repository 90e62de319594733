/** Waits for an engine to answer, by the event of its socket's birth rather than by patience. */
import { watch } from 'node:fs'
import { request } from 'node:http'
import { dirname } from 'node:path'

const pingTimeoutMs = 2_000
/** Between tries when no event comes: the socket exists a moment before dockerd answers. */
const retryMs = 50

/** Whether an engine answers `GET /_ping` on this socket. */
export function ping(socketPath: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const asked = request({ socketPath, path: '/_ping', timeout: pingTimeoutMs, agent: false })
  asked.on('response', (answer) => {
    answer.resume()
    answer.on('error', () => {})
    resolve(answer.statusCode === 200)
  })
  asked.on('timeout', () => asked.destroy(new Error('no answer in time')))
  asked.on('error', () => resolve(false))
  asked.end()
  return promise
}

/** Resolves when the engine answers. @throws the signal's reason. */
export async function untilReady(socketPath: string, signal: AbortSignal): Promise<void> {
  let wake = (): void => {}
  const watcher = watch(dirname(socketPath), () => wake())
  watcher.on('error', () => {})
  try {
    for (;;) {
      signal.throwIfAborted()
      if (await ping(socketPath)) return
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, retryMs)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  } finally {
    watcher.close()
  }
}
