/**
 * For tests: what a node's loopback endpoint is to an engine, over blobs in memory. It asks for the
 * password on everything, counts what is read, and can fail in the ways that matter.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Digest } from '../../protocol/ids.ts'
import type { PullSource } from './engine.ts'

export type FakeImage = Readonly<{
  mediaType: string
  manifest: Uint8Array
  blobs: ReadonlyMap<string, Uint8Array>
}>

export type FakeEndpoint = Readonly<{
  source: PullSource
  image: Digest
  /** `GET /v2/…` paths that were answered 200, in order. */
  reads: readonly string[]
  /** How the blob named is answered from now on. */
  spoil(digest: string, how: 'stall' | 'corrupt' | 'missing'): void
  /** Resolves when a stalled blob is being read. */
  stalled: Promise<void>
  close(): Promise<void>
}>

export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest
}

/** An image of random layers; a manifest that only a simulated engine can use. */
export function fakeImage(layers: readonly Uint8Array[]): FakeImage {
  const config = Buffer.from('{"architecture":"amd64","os":"linux"}')
  const describe = (bytes: Uint8Array, mediaType: string) => {
    return { mediaType, size: bytes.length, digest: digestOf(bytes) }
  }
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: describe(config, 'application/vnd.oci.image.config.v1+json'),
    layers: layers.map((it) => describe(it, 'application/vnd.oci.image.layer.v1.tar+gzip')),
  }
  const blobs = new Map([config, ...layers].map((bytes) => [digestOf(bytes) as string, bytes]))
  return { mediaType, manifest: Buffer.from(JSON.stringify(manifest)), blobs }
}

export async function startFakeEndpoint(image: FakeImage): Promise<FakeEndpoint> {
  const password = 'CANARY-password-5b1e'
  const wanted = `Basic ${Buffer.from(`node:${password}`).toString('base64')}`
  const digest = digestOf(image.manifest)
  const reads: string[] = []
  const spoiled = new Map<string, 'stall' | 'corrupt' | 'missing'>()
  const stalled = Promise.withResolvers<void>()

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const url = request.url ?? ''
    if (request.headers.authorization !== wanted) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="potluck"' }).end()
      return
    }
    const of = url.slice(url.lastIndexOf('/') + 1)
    const isManifest = url.includes('/manifests/') && of === digest
    const bytes = isManifest ? image.manifest : image.blobs.get(of)
    const how = spoiled.get(of)
    if (url === '/v2/') return void response.writeHead(200).end('{}')
    if (bytes === undefined || how === 'missing') {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"errors":[]}')
      return
    }
    reads.push(url)
    response.writeHead(200, {
      'content-type': isManifest ? image.mediaType : 'application/octet-stream',
      'content-length': bytes.length,
      'docker-content-digest': of,
    })
    if (how === 'corrupt') return void response.end(Buffer.alloc(bytes.length, 1))
    if (how === 'stall') {
      response.write(bytes.subarray(0, bytes.length >> 1), () => stalled.resolve())
      return
    }
    response.end(bytes)
  }

  const server = createServer(answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const reference = `127.0.0.1:${port}/bundle@${digest}`
  return {
    source: { reference, username: 'node', password },
    image: digest,
    reads,
    spoil: (blob, how) => void spoiled.set(blob, how),
    stalled: stalled.promise,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
