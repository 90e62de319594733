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
import type { ChunkSource } from '../../protocol/bundle/index.ts'
import { readBlobRange } from '../../protocol/bundle/index.ts'
import { PotluckError } from '../../protocol/errors.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { AllocationSecrets } from '../../protocol/orders/index.ts'
import type { PullSource } from '../engine/engine.ts'
import { type Answer, answerPull, type Part, type Pull, type Servable } from './answer.ts'

export type EndpointInit = Readonly<{
  secrets: Pick<AllocationSecrets, 'manifest' | 'manifestDigest' | 'mediaType' | 'blobs'>
  /** The bundle's chunks; its blobs stand in the order of `secrets.blobs`. */
  source: ChunkSource
  /** Called with the number of plaintext bytes that went to the engine. */
  onServed?: (bytes: number) => void
}>

export interface PullEndpoint {
  readonly pull: PullSource
  /** Ends every answer under way and the listener. Twice is harmless. */
  close(): Promise<void>
}

const repository = 'bundle'
/** Docker fetches three layers at once; more than this is not our engine. */
const connectionsMax = 32

/**
 * Opens the endpoint of one pull.
 * @throws {PotluckError} BUNDLE_MISMATCH: the descriptor is not of the blobs in the order.
 */
export async function openEndpoint(
  init: EndpointInit,
  { logger }: { readonly logger: Logger },
): Promise<PullEndpoint> {
  const items = itemsOf(init)
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
    items,
  }
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    serve(init, pull, request, response, closed.signal).catch((error: unknown) => {
      if (!closed.signal.aborted) logger.debug({ error }, 'an answer of the endpoint broke off')
      response.destroy()
    })
  })
  return {
    pull: {
      reference: `${pull.host}/${repository}@${init.secrets.manifestDigest}`,
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

function itemsOf({ secrets, source }: EndpointInit): Map<string, Servable> {
  const items = new Map<string, Servable>()
  const cuts = source.layout.descriptor.blobs
  secrets.blobs.forEach((blob, blobIndex) => {
    const cut = cuts[blobIndex]
    if (cut?.id !== blob.id || cut.sizeBytes !== blob.sizeBytes) {
      throw new PotluckError('BUNDLE_MISMATCH', `blob ${blobIndex} is not the order's`)
    }
    items.set(blob.digest, {
      digest: blob.digest,
      sizeBytes: blob.sizeBytes,
      mediaType: 'application/octet-stream',
      content: { blobIndex },
    })
  })
  items.set(secrets.manifestDigest, {
    digest: secrets.manifestDigest,
    sizeBytes: secrets.manifest.length,
    mediaType: secrets.mediaType,
    content: { manifest: secrets.manifest },
  })
  return items
}

async function serve(
  init: EndpointInit,
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
  await pipeline(Readable.from(bytesOf(init, answer.item, answer.part, signal)), response, {
    signal,
  })
}

async function* bytesOf(
  { secrets, source, onServed }: EndpointInit,
  { content }: Servable,
  { start, end }: Part,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if ('manifest' in content) {
    const bytes = content.manifest.subarray(start, end)
    onServed?.(bytes.length)
    yield bytes
    return
  }
  const key = secrets.blobs[content.blobIndex]?.key
  if (!key) throw new PotluckError('BUNDLE_MISMATCH', `no key for blob ${content.blobIndex}`)
  for await (const piece of readBlobRange(source, content.blobIndex, key, { start, end, signal })) {
    onServed?.(piece.length)
    yield piece
  }
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
