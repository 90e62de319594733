/** Reads small bodies into memory: a manifest or a token, never more than it may be. */
import { ImageSourceError } from './errors.ts'
import { networkFault } from './transport.ts'

/**
 * The body's bytes; it is closed when it brings more than `bytesMax`.
 * @throws {ImageSourceError} `REGISTRY_ERROR` when too long, `REGISTRY_UNREACHABLE` when it breaks.
 */
export async function readAtMost(
  body: AsyncIterable<Uint8Array>,
  bytesMax: number,
  host: string,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  try {
    for await (const chunk of body) {
      sizeBytes += chunk.length
      if (sizeBytes > bytesMax) {
        throw new ImageSourceError(
          'REGISTRY_ERROR',
          `registry ${host} answers with more than the ${bytesMax} bytes that are read`,
          { fields: { host, bytesMax } },
        )
      }
      chunks.push(chunk)
    }
  } catch (error) {
    throw networkFault(error, host, signal)
  }
  return Buffer.concat(chunks)
}
