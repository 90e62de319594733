/**
 * Puts an image into a registry over plain HTTP or HTTPS with Basic auth, as
 * opencontainers/distribution-spec v1.1 "Pushing" has it: POST an upload, PUT its bytes, then PUT
 * the manifest. For demo and tests; it does not speak Bearer tokens.
 */
import { type Dispatcher, request } from 'undici'
import { PotluckError } from '../../protocol/errors.ts'
import type { Blob, Digest } from './blob.ts'
import type { Image, ImageIndex } from './image.ts'

export type PushTarget = Readonly<{
  /** `http://127.0.0.1:5000` */
  registry: string
  repository: string
  /** `latest` when left out. */
  tag?: string
  credentials?: Readonly<{ username: string; password: string }> | undefined
  /** Where a registry is reached through something: undici's. */
  dispatcher?: Dispatcher | undefined
  signal?: AbortSignal | undefined
  onProgress?: (progress: Readonly<{ doneBytes: number; totalBytes: number }>) => void
}>

/** A registry did not take what it was sent. */
export class PushError extends PotluckError {
  constructor(what: string, status: number, reply: string) {
    super('PUSH_FAILED', `${what}: the registry answered ${status} ${reply.slice(0, 200)}`.trim(), {
      fields: { status },
    })
  }
}

/** Blobs that the registry has are not sent again. Resolves to the manifest's digest. */
export async function pushImage(image: Image | ImageIndex, target: PushTarget): Promise<Digest> {
  const images = image.kind === 'index' ? image.images : [image]
  const blobs = uniqueBlobs(images)
  const totalBytes = blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  let doneBytes = 0
  for (const blob of blobs) {
    if (!(await hasBlob(blob, target))) await pushBlob(blob, target)
    doneBytes += blob.sizeBytes
    target.onProgress?.({ doneBytes, totalBytes })
  }
  for (const one of images) await putManifest(one.manifest, one.digest, target)
  await putManifest(image.manifest, target.tag ?? 'latest', target)
  return image.digest
}

function uniqueBlobs(images: readonly Image[]): Blob[] {
  const blobs = images.flatMap(({ config, layers }) => [config, ...layers])
  return [...new Map(blobs.map((blob) => [blob.digest, blob])).values()]
}

async function hasBlob(blob: Blob, target: PushTarget): Promise<boolean> {
  const { statusCode } = await call(target, 'HEAD', `blobs/${blob.digest}`)
  return statusCode === 200
}

async function pushBlob(blob: Blob, target: PushTarget): Promise<void> {
  const upload = await call(target, 'POST', 'blobs/uploads/', { 'content-length': '0' })
  const { location } = upload.headers
  if (upload.statusCode !== 202 || typeof location !== 'string') {
    throw new PushError('starting an upload', upload.statusCode, upload.text)
  }
  const url = new URL(location, target.registry)
  url.searchParams.set('digest', blob.digest)
  const put = await send(target, 'PUT', url, {
    headers: {
      'content-type': 'application/octet-stream',
      'content-length': String(blob.sizeBytes),
    },
    body: blob.open(),
  })
  if (put.statusCode !== 201) throw new PushError(`blob ${blob.digest}`, put.statusCode, put.text)
}

async function putManifest(manifest: Blob, name: string, target: PushTarget): Promise<void> {
  const url = new URL(`/v2/${target.repository}/manifests/${name}`, target.registry)
  const put = await send(target, 'PUT', url, {
    headers: { 'content-type': manifest.mediaType, 'content-length': String(manifest.sizeBytes) },
    body: manifest.open(),
  })
  if (put.statusCode !== 201) throw new PushError(`manifest ${name}`, put.statusCode, put.text)
}

type Reply = Readonly<{
  statusCode: number
  headers: Readonly<Record<string, string | string[] | undefined>>
  text: string
}>

async function call(
  target: PushTarget,
  method: 'HEAD' | 'POST',
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply> {
  const url = new URL(`/v2/${target.repository}/${path}`, target.registry)
  return await send(target, method, url, { headers })
}

async function send(
  { registry, credentials, dispatcher, signal }: PushTarget,
  method: 'HEAD' | 'POST' | 'PUT',
  url: URL,
  {
    headers,
    body,
  }: {
    headers: Readonly<Record<string, string>>
    body?: Blob['open'] extends () => infer R ? R : never
  },
): Promise<Reply> {
  const own = url.origin === new URL(registry).origin // credentials never go to another host
  const {
    statusCode,
    headers: replied,
    body: reply,
  } = await request(url, {
    method,
    headers: { ...headers, ...(own && credentials ? { authorization: basic(credentials) } : {}) },
    ...(body ? { body } : {}),
    ...(dispatcher ? { dispatcher } : {}),
    ...(signal ? { signal } : {}),
    headersTimeout: 60_000,
  })
  return { statusCode, headers: replied, text: await reply.text() }
}

function basic({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}
