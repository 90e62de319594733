/** A registry in this process that misbehaves on demand, and remembers what it was asked. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Digest } from '../../protocol/ids.ts'
import { digestOf } from './digest.ts'

export type Asked = Readonly<{
  method: string
  path: string
  host: string
  authorization: string | undefined
  range: string | undefined
}>

/** Answers in place of the registry; false leaves the answer to it. */
export type Fault = (request: IncomingMessage, response: ServerResponse) => boolean

export type FakeRegistry = Readonly<{
  host: string
  asked: Asked[]
  manifests: Map<string, Readonly<{ bytes: Uint8Array; mediaType: string }>>
  blobs: Map<string, Uint8Array>
  /** Called first for each request. */
  setFault(fault: Fault | undefined): void
  close(): Promise<void>
}>

export async function startFakeRegistry(): Promise<FakeRegistry> {
  const asked: Asked[] = []
  const manifests: FakeRegistry['manifests'] = new Map()
  const blobs: FakeRegistry['blobs'] = new Map()
  let fault: Fault | undefined
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request
    asked.push({
      method,
      path: url,
      host: headers.host ?? '',
      authorization: headers.authorization,
      range: headers.range,
    })
    if (fault?.(request, response)) return
    const [, kind, name = ''] =
      /^\/v2\/[\w/-]+?\/(manifests|blobs)\/([\w.:-]+)(?:\?|$)/.exec(url) ?? []
    const manifest = kind === 'manifests' ? manifests.get(name) : undefined
    const blob = kind === 'blobs' ? blobs.get(name) : undefined
    if (manifest) {
      const digest = digestOf(manifest.bytes)
      response.setHeader('content-type', manifest.mediaType)
      response.setHeader('docker-content-digest', digest).end(manifest.bytes)
    } else if (blob) sendBlob(response, blob, headers.range)
    else response.writeHead(404).end('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
  })
  await listen(server)
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    manifests,
    blobs,
    setFault(next) {
      fault = next
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function listen(server: Server): Promise<void> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
}

/** 206 for a range, as registries do. */
export function sendBlob(response: ServerResponse, blob: Uint8Array, range?: string): void {
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0)
  if (from > 0) {
    response.statusCode = 206
    response.setHeader('content-range', `bytes ${from}-${blob.length - 1}/${blob.length}`)
  }
  response.setHeader('content-length', blob.length - from).end(blob.subarray(from))
}

export type TestImage = Readonly<{
  manifest: Uint8Array
  mediaType: string
  blobs: readonly Uint8Array[]
}>

/** A valid image of these layers. */
export function buildImage(
  layers: readonly Uint8Array[],
  { architecture = 'amd64', docker = false } = {},
): TestImage {
  const vendor = docker ? 'application/vnd.docker.' : 'application/vnd.oci.image.'
  const config = json({
    architecture,
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: layers.map(digestOf) },
  })
  const mediaType = docker ? `${vendor}distribution.manifest.v2+json` : `${vendor}manifest.v1+json`
  const manifest = json({
    schemaVersion: 2,
    mediaType,
    config: descriptor(
      config,
      docker ? `${vendor}container.image.v1+json` : `${vendor}config.v1+json`,
    ),
    layers: layers.map((layer) =>
      descriptor(
        layer,
        docker ? `${vendor}image.rootfs.diff.tar.gzip` : `${vendor}layer.v1.tar+gzip`,
      ),
    ),
  })
  return { manifest, mediaType, blobs: [config, ...layers] }
}

/** Puts an image where the fake registry finds it, by tag and by digest. */
export function addImage(
  { manifests, blobs }: FakeRegistry,
  tag: string,
  image: TestImage,
): Digest {
  const digest = digestOf(image.manifest)
  const stored = { bytes: image.manifest, mediaType: image.mediaType }
  manifests.set(tag, stored).set(digest, stored)
  for (const blob of image.blobs) blobs.set(digestOf(blob), blob)
  return digest
}

export function descriptor(bytes: Uint8Array, mediaType: string) {
  return { mediaType, digest: digestOf(bytes), size: bytes.length }
}

export function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}
