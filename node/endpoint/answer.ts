/**
 * What the loopback endpoint answers, decided apart from sockets: who may ask, for what, and which
 * bytes of it. Pure, so that every refusal has a test. Source: opencontainers/distribution-spec
 * (pull), RFC 9110 section 14 (ranges).
 */
import { timingSafeEqual } from 'node:crypto'
import type { Digest } from '../../protocol/ids.ts'

/** One thing that an allocation's pull may read. */
export type Servable = Readonly<{
  digest: Digest
  sizeBytes: number
  mediaType: string
  content: { readonly manifest: Uint8Array } | { readonly blobIndex: number }
}>

export type Pull = Readonly<{
  /** `127.0.0.1:PORT`. */
  host: string
  repository: string
  username: string
  password: string
  items: ReadonlyMap<string, Servable>
}>

export type Ask = Readonly<{
  method: string
  url: string
  host: string | undefined
  authorization: string | undefined
  range: string | undefined
}>

/** Bytes `start` to before `end`. */
export type Part = Readonly<{ start: number; end: number; isPartial: boolean }>

export type Answer =
  | Readonly<{ status: 200; kind: 'version' }>
  | Readonly<{ status: 200 | 206; kind: 'content'; item: Servable; part: Part; isHead: boolean }>
  | Readonly<{ status: 416; kind: 'range'; item: Servable }>
  | Readonly<{ status: 401 | 404 | 405 | 421; kind: 'refusal'; code: string; message: string }>

function refusal(status: 401 | 404 | 405 | 421, code: string, message: string): Answer {
  return { status, kind: 'refusal', code, message }
}

/** The answer to one request. Never throws; never says whether another digest exists. */
export function answerPull(pull: Pull, ask: Ask): Answer {
  if (ask.host?.toLowerCase() !== pull.host) {
    return refusal(421, 'DENIED', 'this endpoint answers to its own address only')
  }
  if (!isAuthorized(pull, ask.authorization)) {
    return refusal(401, 'UNAUTHORIZED', 'this endpoint serves one pull of its own node')
  }
  if (ask.method !== 'GET' && ask.method !== 'HEAD') {
    return refusal(405, 'UNSUPPORTED', 'only GET and HEAD')
  }
  const path = ask.url.split('?', 1)[0] ?? ''
  if (path === '/v2/' || path === '/v2') return { status: 200, kind: 'version' }
  const match = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(path)
  const [, repository, kind, digest] = match ?? []
  const item = digest === undefined ? undefined : pull.items.get(digest)
  const isManifest = item !== undefined && 'manifest' in item.content
  if (!item || repository !== pull.repository || isManifest !== (kind === 'manifests')) {
    const code = kind === 'manifests' ? 'MANIFEST_UNKNOWN' : 'BLOB_UNKNOWN'
    return refusal(404, code, 'not part of this pull')
  }
  const part = partOf(item.sizeBytes, ask.range)
  if (!part) return { status: 416, kind: 'range', item }
  return {
    status: part.isPartial ? 206 : 200,
    kind: 'content',
    item,
    part,
    isHead: ask.method === 'HEAD',
  }
}

function isAuthorized({ username, password }: Pull, authorization: string | undefined): boolean {
  const [scheme, token] = (authorization ?? '').split(' ', 2)
  if (scheme?.toLowerCase() !== 'basic' || !token) return false
  const given = Buffer.from(token, 'base64')
  const wanted = Buffer.from(`${username}:${password}`)
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

/** A single byte range; several, other units and nonsense mean the whole (RFC 9110 14.2). */
function partOf(sizeBytes: number, range: string | undefined): Part | undefined {
  const whole = { start: 0, end: sizeBytes, isPartial: false }
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(range?.trim() ?? '')
  if (!match || (match[1] === '' && match[2] === '')) return whole
  const [first, last] = [match[1] ?? '', match[2] ?? '']
  if (first === '') {
    const suffixBytes = Number(last)
    if (suffixBytes === 0 || sizeBytes === 0) return undefined
    return { start: Math.max(0, sizeBytes - suffixBytes), end: sizeBytes, isPartial: true }
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) return whole
  if (start >= sizeBytes) return undefined
  const end = last === '' ? sizeBytes : Math.min(sizeBytes, Number(last) + 1)
  return { start, end, isPartial: true }
}
