/**
 * An image streamed into Docker, for engines that cannot pull from the node's loopback. Docker puts
 * the whole archive down before it unpacks a layer, so it takes twice the disk and nothing overlaps:
 * the way out, not the way of choice.
 */
import { statfs } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import { describeError } from '../../protocol/errors.ts'
import { parseInfo } from './docker-answers.ts'
import type { DockerApi } from './docker-api.ts'
import type { DockerImages } from './docker-images.ts'
import { followPull, pullTimeoutMs } from './docker-pull.ts'
import type { ImageArchive, PullProgress } from './engine.ts'
import { EngineError } from './errors.ts'
import { archiveStream, type ReadArchive, readArchive } from './image-archive.ts'
import type { ImageManifest } from './image-manifest.ts'

export type LoadOptions = Readonly<{
  signal: AbortSignal
  onProgress?: (progress: PullProgress) => void
}>

/** The archive, and what is unpacked from it. */
const diskFactor = 2
const containerdDriver = 'io.containerd.snapshotter.v1'

const configSchema = Compile(
  Type.Object({
    rootfs: Type.Object({ diff_ids: Type.Array(Type.String(), { maxItems: 1_000 }) }),
  }),
)

/** The reference under which it can be used. @throws {EngineError} LOAD_FAILED, ENGINE_DISK_SHORT */
export async function loadImage(
  api: DockerApi,
  images: DockerImages,
  archive: ImageArchive,
  options: LoadOptions,
): Promise<string> {
  const read = await readArchive(archive, options)
  const info = parseInfo(await api.get('/info', {}, options))
  await requireRoom(info.DockerRootDir, read.manifest)
  const isClassic = !info.DriverStatus?.flat().includes(containerdDriver)
  const layersHeld = isClassic ? await countHeld(images, read, options) : 0
  const reference = images.loadedReference(archive.image)
  const send = (held: number): Promise<void> =>
    sendArchive(api, archive, { read, reference, layersHeld: held }, options)
  try {
    await send(layersHeld)
  } catch (error) {
    const mayBeStale = layersHeld > 0 && !options.signal.aborted
    if (!mayBeStale || !(error instanceof EngineError) || error.code !== 'LOAD_FAILED') throw error
    await send(0) // an image that had the layers may have been removed meanwhile
  }
  if ((await images.reference(archive.image, options)) !== undefined) return reference
  throw new EngineError('LOAD_FAILED', `the engine took ${archive.image} and does not have it`)
}

async function sendArchive(
  { docker, call }: DockerApi,
  archive: ImageArchive,
  { read, reference, layersHeld }: { read: ReadArchive; reference: string; layersHeld: number },
  { signal, onProgress }: LoadOptions,
): Promise<void> {
  const layersTotal = read.manifest.layers.length
  const onLayer = (layersDone: number): void => onProgress?.({ layersTotal, layersDone })
  const broken = new AbortController()
  const both = AbortSignal.any([signal, broken.signal])
  const tar = archiveStream(archive, read, { reference, layersHeld, signal: both, onLayer })
  // The engine learns from the request's end that the stream broke, we from the stream itself.
  tar.once('error', (error) => broken.abort(error))
  onLayer(layersHeld)
  try {
    await call(`load ${reference}`, { signal: both, timeoutMs: pullTimeoutMs }, async (abort) => {
      const answer = await docker.loadImage(tar, { abortSignal: abort })
      await followPull(answer as Readable, abort)
    })
    onLayer(layersTotal)
  } catch (error) {
    signal.throwIfAborted()
    const cause = broken.signal.aborted ? broken.signal.reason : error
    const isOurs = cause instanceof EngineError && cause.code !== 'PULL_FAILED'
    if (isOurs && cause.code !== 'ENGINE_REFUSED') throw cause
    throw new EngineError('LOAD_FAILED', `load ${reference}: ${describeError(cause)}`, { cause })
  } finally {
    broken.abort()
    tar.destroy()
  }
}

/** How many layers from the bottom the engine has already, of whatever image. */
async function countHeld(
  images: DockerImages,
  { config }: ReadArchive,
  options: LoadOptions,
): Promise<number> {
  const diffIds = diffIdsOf(config)
  let most = 0
  for (const layers of await images.layers(options)) {
    let same = 0
    while (same < diffIds.length && layers[same] === diffIds[same]) same += 1
    most = Math.max(most, same)
  }
  return most
}

function diffIdsOf(config: Buffer): readonly string[] {
  try {
    const value: unknown = JSON.parse(config.toString('utf8'))
    return configSchema.Check(value) ? value.rootfs.diff_ids : []
  } catch {
    return [] // the engine says what is wrong with it
  }
}

/** An engine in a machine of its own has its disk elsewhere: then nothing can be said. */
async function requireRoom(rootDir: string, { config, layers }: ImageManifest): Promise<void> {
  const disk = await statfs(rootDir).catch(() => undefined)
  if (!disk) return
  const imageBytes = layers.reduce((sum, { size }) => sum + size, config.size)
  const freeBytes = disk.bavail * disk.bsize
  const neededBytes = diskFactor * imageBytes
  if (freeBytes >= neededBytes) return
  throw new EngineError(
    'ENGINE_DISK_SHORT',
    `${freeBytes} bytes are free at ${rootDir}; loading this image needs ${neededBytes}, ` +
      'twice its size; free some',
    { fields: { freeBytes, neededBytes } },
  )
}
