/**
 * `GET /metrics` for Prometheus. It tells, it takes no orders, and what fails here never stops a
 * process: a port that is taken is a warning.
 * Source: prometheus/docs, "Exposition formats".
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, isIPv6 } from 'node:net'
import type { Logger } from '../log/index.ts'
import { isOwnHost } from './own-host.ts'
import { createSeries, type Series } from './series.ts'
import type { MetricsSettings } from './settings.ts'

/** Several scrapers, and one who looks with a browser. */
const connectionsMax = 16
const headersMs = 10_000
/** Fine enough to see a stall; the default, each 10 ms, would be half of an idle node's CPU. */
const eventLoopPrecisionMs = 100

export interface MetricsServer {
  readonly url: string
  /** Twice is harmless. */
  stop(): Promise<void>
}

/**
 * Serves what `define` adds, and prom-client's defaults of the process, from the first scrape on.
 * Undefined, with a warning, when it cannot listen, and when it is not enabled.
 */
export async function startMetricsServer(
  settings: MetricsSettings,
  { define, logger }: { readonly define: (series: Series) => void; readonly logger: Logger },
): Promise<MetricsServer | undefined> {
  const { enabled, host, port, names } = settings
  if (!enabled) return undefined
  let text: (() => Promise<string>) | undefined
  const scrape = async (): Promise<string> => {
    text ??= await defineAll(define)
    return await text()
  }
  /** Shared by all who ask meanwhile. */
  let running: Promise<string> | undefined
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const refusal = refusalOf(request, names)
    if (refusal) {
      response.writeHead(refusal.status, { 'content-type': 'text/plain' })
      response.end(`${refusal.message}\n`)
      return
    }
    running ??= scrape().finally(() => {
      running = undefined
    })
    const body = await running
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
    response.end(request.method === 'HEAD' ? undefined : body)
  }
  const server = createServer({ maxHeaderSize: 16_384, requestTimeout: headersMs })
  server.maxConnections = connectionsMax
  server.on('request', (request, response) => {
    answer(request, response).catch((error: unknown) => {
      logger.warn({ error }, 'metrics could not be told')
      response.destroy()
    })
  })
  try {
    server.listen({ host, port })
    await once(server, 'listening')
  } catch (error) {
    logger.warn({ error, host, port }, 'no metrics: cannot listen; choose another metrics.port')
    return undefined
  }
  const at = server.address() as AddressInfo
  return {
    url: `http://${isIPv6(host) ? `[${host}]` : host}:${at.port}/metrics`,
    async stop() {
      if (!server.listening) return
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

async function defineAll(define: (series: Series) => void): Promise<() => Promise<string>> {
  const prom = (await import('prom-client')).default
  const registry = new prom.Registry()
  prom.collectDefaultMetrics({
    register: registry,
    eventLoopMonitoringPrecision: eventLoopPrecisionMs,
  })
  define(createSeries(prom, registry))
  return () => registry.metrics()
}

type Refusal = Readonly<{ status: number; message: string }>

function refusalOf(
  { method, url, headers }: IncomingMessage,
  names: readonly string[],
): Refusal | undefined {
  if (!isOwnHost(headers.host, names)) {
    return { status: 421, message: 'another host was asked for; add its name to metrics.names' }
  }
  if (url?.split('?', 1)[0] !== '/metrics') return { status: 404, message: 'see /metrics' }
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, message: 'GET only' }
  return undefined
}
