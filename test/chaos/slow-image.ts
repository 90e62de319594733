/** An image that takes long enough to be fetched that its fetching can be interrupted. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { buildImage, type Image, randomLayer, smallImage } from '../../scripts/image/index.ts'

/** Runs, prints, and takes `sizeBytes` of random bytes along. */
export async function makeImage({
  seed,
  sizeBytes,
}: {
  readonly seed: string
  readonly sizeBytes: number
}): Promise<Image> {
  const small = await smallImage()
  return buildImage({
    layers: [...small.layers, await randomLayer({ sizeBytes, seed })],
    format: 'docker',
    config: { Cmd: ['/start'], Env: ['PATH=/bin'] },
  })
}

/** Until the files in `folder` hold so many bytes more than now. */
export async function untilFilesGrow(folder: string, bytes: number): Promise<void> {
  const deadlineMs = performance.now() + 60_000
  const startBytes = await bytesIn(folder)
  while ((await bytesIn(folder)) < startBytes + bytes) {
    if (performance.now() > deadlineMs) throw new Error(`${folder} did not grow by ${bytes} bytes`)
    await sleep(5)
  }
}

/** On the disk: files of chunks are made at their full size, with holes. */
async function bytesIn(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) =>
        stat(join(entry.parentPath, entry.name)).then(
          ({ blocks }) => blocks * 512,
          () => 0,
        ),
      ),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}
