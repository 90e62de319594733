/**
 * Real nodes, several in this one process: what the measured home of the idle bench has around it.
 * `node neighbours.ts CONFIG…` prints one line of JSON when all run, and they say goodbye at SIGTERM.
 * Each is the node's own `run` with its own settings, so it beats, gossips and advertises as any
 * other; only its engine is simulated.
 */
import { configSchema, run } from '../../../node/index.ts'
import { loadConfig } from '../../../protocol/config/index.ts'
import { createLogger } from '../../../protocol/log/index.ts'

const logger = createLogger({ level: 'warn', name: 'neighbours' })
const stop = new AbortController()
process.on('SIGTERM', () => stop.abort(new Error('the bench is over')))
// As the binary does: a fault inside libp2p's sockets surfaces here.
process.on('uncaughtException', (error) => logger.error({ error }, 'a fault that nothing caught'))

const env = { POTLUCK_NODE_ENGINE_KIND: 'simulated' }
const ready: Promise<unknown>[] = []
const running = process.argv.slice(2).map((file) => {
  const config = loadConfig({ schema: configSchema, name: 'node', file, env, flags: {} })
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  ready.push(promise)
  return run(config, { signal: stop.signal, logger, onReady: resolve }).catch(reject)
})
await Promise.all(ready)
process.stdout.write(`${JSON.stringify({ nodes: running.length })}\n`)
await Promise.all(running)
