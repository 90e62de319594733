/**
 * A pull as Docker makes it, without Docker: Basic auth on every request, the manifest by digest,
 * the config, then three layers at once, each hashed. So the endpoint and the swarm behind it are
 * exercised for real where only the engine is simulated.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import type { Readable } from 'node:stream'
import pLimit from 'p-limit'
import type { PullProgress, PullSource } from './engine.ts'
import { EngineError } from './errors.ts'
import { parseImageManifest } from './image-manifest.ts'

const manifestBytesMax = 4 << 20
const manifestTypes = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')
const layersAtOnce = 3

export type SimulatedPullOptions = Readonly<{
  signal: AbortSignal
  onProgress?: (progress: PullProgress) => void
}>

/** @throws {EngineError} PULL_FAILED, without the password. */
export async function fetchImage(source: PullSource, options: SimulatedPullOptions): Promise<void> {
  const { signal, onProgress } = options
  const [, host, repository, digest] = /^([^/]+)\/(.+)@(sha256:[0-9a-f]{64})$/.exec(
    source.reference,
  ) ?? [undefined, '', '', '']
  if (digest === '') {
    throw new EngineError('PULL_FAILED', `reference ${source.reference} is not by digest`)
  }
  const login = Buffer.from(`${source.username}:${source.password}`).toString('base64')
  const agent = new Agent({ keepAlive: true, maxSockets: layersAtOnce })
  const get = async (kind: 'manifests' | 'blobs', of: string): Promise<Readable> => {
    const asked = request(`http://${host}/v2/${repository}/${kind}/${of}`, {
      agent,
      headers: { authorization: `Basic ${login}`, accept: manifestTypes },
      signal,
    })
    asked.end()
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    if (answer.statusCode === 200) return answer
    answer.resume()
    throw new EngineError('PULL_FAILED', `${kind}/${of}: ${host} answered ${answer.statusCode}`)
  }
  try {
    const manifest = await readVerified(await get('manifests', digest), digest, manifestBytesMax)
    const parsed = parseImageManifest(manifest)
    if (!parsed) throw new EngineError('PULL_FAILED', 'the manifest names no config or layers')
    const { config, layers } = parsed
    await readVerified(await get('blobs', config.digest), config.digest, manifestBytesMax)
    const limit = pLimit(layersAtOnce)
    let layersDone = 0
    onProgress?.({ layersTotal: layers.length, layersDone })
    await Promise.all(
      layers.map((layer) =>
        limit(async () => {
          await readVerified(await get('blobs', layer.digest), layer.digest, 0)
          onProgress?.({ layersTotal: layers.length, layersDone: ++layersDone })
        }),
      ),
    )
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof EngineError) throw error
    throw new EngineError('PULL_FAILED', `pull ${source.reference}`, { cause: error })
  } finally {
    agent.destroy()
  }
}

/** Hashes a body, keeping at most `keepBytes` of it. */
async function readVerified(body: Readable, digest: string, keepBytes: number): Promise<Buffer> {
  const hash = createHash('sha256')
  const kept: Buffer[] = []
  let keptBytes = 0
  for await (const piece of body) {
    hash.update(piece)
    if (keptBytes >= keepBytes) continue
    kept.push(piece)
    keptBytes += piece.length
  }
  if (`sha256:${hash.digest('hex')}` === digest) return Buffer.concat(kept)
  throw new EngineError('PULL_FAILED', `${digest}: the bytes have another digest`)
}
