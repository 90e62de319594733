/**
 * Tar archives as Node streams. tar-stream's own streams are streamx's, which look like Node's and
 * differ where it hurts (types, errors in `pipeline`); this is the one place that touches them.
 */
import { Readable } from 'node:stream'
import { type Header, type Pack, pack } from 'tar-stream'

export type TarEntry = Readonly<
  Partial<Pick<Header, 'mode' | 'type' | 'linkname' | 'uid' | 'gid'>> & {
    name: string
    data?: string | Uint8Array | LargeData
  }
>
/** Data that is not held in memory. */
export type LargeData = Readonly<{ sizeBytes: number; open(): AsyncIterable<Uint8Array> }>

/** Same entries, same bytes: a digest that changes from run to run would defeat every cache. */
const fixedTime = new Date('2025-01-01T00:00:00Z')

/**
 * The archive of `entries`, made as it is read.
 * The stream is destroyed with what an entry's `open` throws.
 */
export function tarOf(entries: readonly TarEntry[]): Readable {
  const archive = pack()
  archive.on('error', heardByReader)
  fill(archive, entries).catch((error: Error) => archive.destroy(error))
  return Readable.from(archive as AsyncIterable<Buffer>, { objectMode: false })
}

/** What breaks the archive is told once: to whoever reads it. */
function heardByReader(): void {}

async function fill(archive: Pack, entries: readonly TarEntry[]): Promise<void> {
  for (const { data, ...rest } of entries) {
    const header = { ...rest, mtime: fixedTime }
    if (data === undefined) archive.entry(header)
    else if (typeof data === 'string' || data instanceof Uint8Array) archive.entry(header, data)
    else await addLarge(archive, header, data)
  }
  archive.finalize()
}

async function addLarge(
  archive: Pack,
  header: Omit<TarEntry, 'data'> & { mtime: Date },
  { sizeBytes, open }: LargeData,
): Promise<void> {
  const written = Promise.withResolvers<void>()
  const entry = archive.entry({ ...header, size: sizeBytes }, (error) =>
    error ? written.reject(error) : written.resolve(),
  )
  entry.on('error', heardByReader)
  written.promise.catch(heardByReader)
  let roomAgain = Promise.withResolvers<void>()
  const wake = (): void => roomAgain.resolve()
  entry.on('drain', wake)
  archive.on('close', wake)
  for await (const chunk of open()) {
    if (archive.destroyed) return
    if (entry.write(chunk)) continue
    await roomAgain.promise
    roomAgain = Promise.withResolvers<void>()
  }
  entry.end(undefined)
  await written.promise
}
