/** Counts what is read from registries, at the one door through which all of it comes. */
import type { ImageSource } from '../oci/index.ts'

export type MeteredSource = Readonly<{
  source: ImageSource
  /** Of blobs, since the start. */
  readBytes: () => number
}>

/** The same source, counted. */
export function meterSource(source: ImageSource): MeteredSource {
  let readBytes = 0
  return {
    readBytes: () => readBytes,
    source: {
      resolve: (...args) => source.resolve(...args),
      hasBlob: (...args) => source.hasBlob(...args),
      close: () => source.close(),
      async *readBlob(...args) {
        for await (const piece of source.readBlob(...args)) {
          readBytes += piece.length
          yield piece
        }
      },
    },
  }
}
