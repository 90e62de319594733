/**
 * A load as Docker makes it, without Docker: the archive is read to its end, and each layer that its
 * index names must be there.
 */
import type { Readable } from 'node:stream'
import { extract } from 'tar-stream'
import type { ImageArchive, PullProgress } from './engine.ts'
import { EngineError } from './errors.ts'
import { archiveStream, readArchive } from './image-archive.ts'

export type SimulatedLoadOptions = Readonly<{
  reference: string
  signal: AbortSignal
  onProgress?: (progress: PullProgress) => void
}>

/** @throws {EngineError} LOAD_FAILED @throws the signal's reason */
export async function takeArchive(
  archive: ImageArchive,
  { reference, signal, onProgress }: SimulatedLoadOptions,
): Promise<void> {
  const read = await readArchive(archive, { signal })
  const layersTotal = read.manifest.layers.length
  const tar = archiveStream(archive, read, {
    ...{ reference, signal, layersHeld: 0 },
    onLayer: (layersDone) => onProgress?.({ layersTotal, layersDone }),
  })
  try {
    const names = await namesIn(tar)
    if (names.size !== 2 + new Set(read.manifest.layers.map(({ digest }) => digest)).size) {
      throw new EngineError('LOAD_FAILED', 'the archive lacks layers')
    }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof EngineError) throw error
    throw new EngineError('LOAD_FAILED', `load ${reference}`, { cause: error })
  }
}

async function namesIn(tar: Readable): Promise<Set<string>> {
  const entries = extract()
  const broken = Promise.withResolvers<never>()
  tar.once('error', (error) => {
    entries.destroy()
    broken.reject(error)
  })
  const names = new Set<string>()
  const reading = async (): Promise<void> => {
    for await (const entry of entries) {
      names.add(entry.header.name)
      entry.resume()
    }
  }
  tar.pipe(entries as unknown as NodeJS.WritableStream)
  await Promise.race([reading(), broken.promise])
  return names
}
