/**
 * The registry that one pull of this node's own engine sees: 127.0.0.1, a port and a password made
 * for it, and no digest but its allocation's. It decrypts as it serves: headers at once, bodies as
 * chunks arrive (Docker tolerates a stalled body; a broken one costs it 5 s). It ends with the pull.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { PotluckError } from '../../protocol/errors.ts'
import type { Digest } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { PullSource } from '../engine/engine.ts'
import { type Answer, answerPull, type Pull } from './answer.ts'
import type { PlainImage } from './plain-image.ts'

export interface PullEndpoint {
  readonly pull: PullSource
  /** Ends every answer under way and the listener. Twice is harmless. */
  close(): Promise<void>
}

const repository = 'bundle'
/** Docker fetches three layers at once; more than this is not our engine. */
const connectionsMax = 32

/** Opens the endpoint of one pull. @param image the digest of its manifest */
export async function openEndpoint(
  { image, plain }: { readonly image: Digest; readonly plain: PlainImage },
  { logger }: { readonly logger: Logger },
): Promise<PullEndpoint> {
  const closed = new AbortController()
  const server = createServer({ maxHeaderSize: 16_384, requestTimeout: 10_000 })
  server.maxConnections = connectionsMax
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const pull: Pull = {
    host: `127.0.0.1:${port}`,
    repository,
    username: 'potluck',
    password: randomBytes(24).toString('base64url'),
    items: plain.items,
  }
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    serve(plain, pull, request, response, closed.signal).catch((error: unknown) => {
      if (!closed.signal.aborted) logger.debug({ error }, 'an answer of the endpoint broke off')
      response.destroy()
    })
  })
  return {
    pull: {
      reference: `${pull.host}/${repository}@${image}`,
      username: pull.username,
      password: pull.password,
    },
    async close() {
      if (closed.signal.aborted) return
      closed.abort(new PotluckError('PULL_ENDED', 'the pull that this endpoint served has ended'))
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

async function serve(
  plain: PlainImage,
  pull: Pull,
  request: IncomingMessage,
  response: ServerResponse,
  closed: AbortSignal,
): Promise<void> {
  const answer = answerPull(pull, {
    method: request.method ?? '',
    url: request.url ?? '',
    host: request.headers.host,
    authorization: request.headers.authorization,
    range: request.headers.range,
  })
  writeHead(answer, response)
  if (answer.kind !== 'content' || answer.isHead) return
  const left = new AbortController()
  response.once('close', () => left.abort(new Error('the engine hung up')))
  const signal = AbortSignal.any([left.signal, closed])
  await pipeline(Readable.from(plain.read(answer.item, answer.part, signal)), response, {
    signal,
  })
}

function writeHead(answer: Answer, response: ServerResponse): void {
  const common = {
    'Docker-Distribution-Api-Version': 'registry/2.0',
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  }
  switch (answer.kind) {
    case 'version':
      response.writeHead(200, { ...common, 'Content-Type': 'application/json' }).end('{}')
      return
    case 'range':
      response
        .writeHead(416, { ...common, 'Content-Range': `bytes */${answer.item.sizeBytes}` })
        .end()
      return
    case 'refusal': {
      const challenge =
        answer.status === 401 ? { 'WWW-Authenticate': 'Basic realm="potluck"' } : undefined
      const body = JSON.stringify({ errors: [{ code: answer.code, message: answer.message }] })
      response
        .writeHead(answer.status, { ...common, ...challenge, 'Content-Type': 'application/json' })
        .end(body)
      return
    }
    case 'content': {
      const { item, part } = answer
      response.writeHead(answer.status, {
        ...common,
        'Content-Type': item.mediaType,
        'Content-Length': part.end - part.start,
        'Docker-Content-Digest': item.digest,
        ETag: `"${item.digest}"`,
        'Accept-Ranges': 'bytes',
        ...(part.isPartial
          ? { 'Content-Range': `bytes ${part.start}-${part.end - 1}/${item.sizeBytes}` }
          : {}),
      })
      if (answer.isHead) response.end()
      else response.flushHeaders()
    }
  }
}
