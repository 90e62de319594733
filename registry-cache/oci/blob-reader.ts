/**
 * Reads a blob as a stream that outlives its connection: a body that breaks at byte 3,000,000,000 is
 * asked for again from there. Pull-based: nothing is read before the caller asks for the next piece,
 * so a slow disk slows the registry down instead of filling memory. Source: RFC 9110 section 14.
 */
import { ImageSourceError } from './errors.ts'
import type { ResolvedBlob } from './image-source.ts'
import { type Asked, responseFault } from './response-fault.ts'
import type { Retry } from './retry.ts'
import { type Answer, dump, networkFault } from './transport.ts'

export type BlobRead = Readonly<{
  blob: ResolvedBlob
  fromByte: number
  asked: Asked
  signal: AbortSignal
  /** Sends the request with these headers, authorized. */
  open: (headers: Readonly<Record<string, string>>) => Promise<Answer>
}>

/** So much must have come for a break to count as the first again: a byte a time is no progress. */
const PROGRESS_BYTES = 1024 * 1024

export async function* readBlobBytes(
  { blob, fromByte, asked, signal, open }: BlobRead,
  { retry }: { readonly retry: Retry },
): AsyncGenerator<Uint8Array, void, undefined> {
  let atByte = fromByte
  let progressByte = fromByte
  let failures = 0
  while (atByte < blob.sizeBytes) {
    try {
      signal.throwIfAborted()
      for await (const chunk of openAt(atByte)) {
        atByte += chunk.length
        yield chunk
      }
    } catch (error) {
      const fault = networkFault(error, asked.registry, signal)
      if (atByte - progressByte >= PROGRESS_BYTES) failures = 0
      progressByte = atByte
      failures += 1
      await retry.wait(fault, failures, signal)
    }
  }

  /** The bytes from `byte` to the end, of one response. */
  async function* openAt(byte: number): AsyncGenerator<Uint8Array, void, undefined> {
    const answer = await open(byte > 0 ? { range: `bytes=${byte}-` } : {})
    const fault = answerFault(answer, byte, blob, asked)
    if (fault) {
      await dump(answer.body)
      throw fault
    }
    // A server that knows no ranges sends all; what we have is skipped, at the price of reading it.
    let skipBytes = answer.status === 200 ? byte : 0
    let leftBytes = blob.sizeBytes - byte
    for await (const piece of answer.body as AsyncIterable<Uint8Array>) {
      const chunk = piece.subarray(Math.min(skipBytes, piece.length))
      skipBytes -= piece.length - chunk.length
      if (chunk.length > leftBytes) throw sizeMismatch(blob, asked, 'more')
      leftBytes -= chunk.length
      if (chunk.length > 0) yield chunk
    }
    if (leftBytes > 0) throw truncated(asked)
  }
}

/** Why an answer cannot be the bytes from `byte` on, or undefined. */
function answerFault(
  answer: Answer,
  byte: number,
  blob: ResolvedBlob,
  asked: Asked,
): ImageSourceError | undefined {
  const { status, headers } = answer
  if (status === 416) return sizeMismatch(blob, asked, 'fewer')
  if (status !== 200 && status !== 206) return responseFault(answer, asked)
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    return registryFault(asked, 'sends it encoded, though asked not to')
  }
  if (status === 206) {
    const [, first, total] =
      /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(String(headers['content-range'])) ?? []
    if (Number(first) !== byte)
      return registryFault(asked, `answers another range than from ${byte}`)
    if (total !== '*' && Number(total) !== blob.sizeBytes) {
      return sizeMismatch(blob, asked, Number(total) > blob.sizeBytes ? 'more' : 'fewer')
    }
    return undefined
  }
  const length = headers['content-length']
  if (typeof length === 'string' && Number(length) !== blob.sizeBytes) {
    return sizeMismatch(blob, asked, Number(length) > blob.sizeBytes ? 'more' : 'fewer')
  }
  return undefined
}

function sizeMismatch(blob: ResolvedBlob, asked: Asked, how: 'more' | 'fewer'): ImageSourceError {
  return new ImageSourceError(
    'DIGEST_MISMATCH',
    `registry ${asked.registry} has ${how} bytes than the ${blob.sizeBytes} of the ${asked.what}. Push it again`,
    { fields: { registry: asked.registry, digest: blob.digest, sizeBytes: blob.sizeBytes } },
  )
}

function registryFault(asked: Asked, why: string): ImageSourceError {
  return new ImageSourceError(
    'REGISTRY_ERROR',
    `registry ${asked.registry}: the ${asked.what}: ${why}`,
    {
      fields: { registry: asked.registry },
    },
  )
}

function truncated({ registry, what }: Asked): ImageSourceError {
  return new ImageSourceError(
    'REGISTRY_UNREACHABLE',
    `registry ${registry} broke off the ${what}`,
    {
      fields: { registry },
      transient: true,
    },
  )
}
