/**
 * What is done with chunks beside the main thread: read, hash, write. One job after the other, with
 * nothing held between them; the files are the main thread's, told by their descriptors. Bits are
 * changed here alone, so no change of a byte of them is lost to another.
 */
import { hash } from 'node:crypto'
import { readSync, writeSync } from 'node:fs'
// Not the folder's index: a thread loads what it needs to read, hash and write.
import { Bitfield } from '../bundle/bitfield.ts'

/** SHA-256. */
export const nameBytes = 32

/** Chunks that lie one behind the other in a file. */
export type ReadJob = Readonly<{
  kind: 'read'
  id: number
  fd: number
  position: number
  lengths: readonly number[]
  /** SHA-256 of each, one behind the other. */
  names: Uint8Array
}>
/** Chunks in `buffer`, each behind its SHA-256. */
export type WriteJob = Readonly<{
  kind: 'write'
  id: number
  buffer: ArrayBuffer
  chunks: readonly ChunkWrite[]
}>
export type ChunkWrite = Readonly<{
  fd: number
  position: number
  /** Of the name; the chunk follows it. */
  offset: number
  length: number
  /** Whether to look at the name at all. */
  verify: boolean
  /** Set behind the chunk. */
  bit: Bit | undefined
}>
/** A bit of a file that holds a Bitfield's bytes. */
export type Bit = Readonly<{ fd: number; number: number }>
/** Unsets `count` bits from one on. */
export type UnsetJob = Readonly<{ kind: 'unset'; id: number; from: Bit; count: number }>
export type ChunkJob = ReadJob | WriteJob | UnsetJob

export type DiskFault = Readonly<{ code: string | undefined; message: string }>
/** `good`: as named. `wrong`: other bytes. Else what the disk said. */
export type ChunkOutcome = 'good' | 'wrong' | DiskFault
export type ChunkReply = Readonly<{
  id: number
  /** Of a read, what it read; of a write, its own again. */
  buffer?: ArrayBuffer
  outcomes: readonly ChunkOutcome[]
}>

/** Does one job. Its faults are in the reply. */
export function doChunkJob(job: ChunkJob): ChunkReply {
  switch (job.kind) {
    case 'read':
      return read(job)
    case 'write':
      return write(job)
    case 'unset':
      return unset(job)
  }
}

function read({ id, fd, position, lengths, names }: ReadJob): ChunkReply {
  const totalBytes = lengths.reduce((sum, length) => sum + length, 0)
  const bytes = Buffer.allocUnsafeSlow(totalBytes)
  const gotBytes = readSpan(fd, bytes, position)
  let start = 0
  const outcomes = lengths.map((length, at): ChunkOutcome => {
    const chunk = bytes.subarray(start, start + length)
    const chunkPosition = position + start
    start += length
    try {
      // What one read could not give whole may still have good chunks in it.
      if (start > gotBytes && readFully(fd, chunk, chunkPosition) < length) return 'wrong'
      return isNamed(chunk, names.subarray(at * nameBytes, (at + 1) * nameBytes))
    } catch (error) {
      return faultOf(error)
    }
  })
  return { id, buffer: bytes.buffer as ArrayBuffer, outcomes }
}

function write({ id, buffer, chunks }: WriteJob): ChunkReply {
  const outcomes = chunks.map(({ fd, position, offset, length, verify, bit }): ChunkOutcome => {
    const name = new Uint8Array(buffer, offset, nameBytes)
    const chunk = new Uint8Array(buffer, offset + nameBytes, length)
    if (verify && isNamed(chunk, name) === 'wrong') return 'wrong'
    return attempt(() => {
      writeFully(fd, chunk, position)
      if (bit) changeBits(bit, 1, true)
    })
  })
  return { id, buffer, outcomes }
}

function unset({ id, from, count }: UnsetJob): ChunkReply {
  return { id, outcomes: [attempt(() => changeBits(from, count, false))] }
}

/** What the file does not have yet counts as unset. */
function changeBits({ fd, number }: Bit, count: number, value: boolean): void {
  const firstByte = number >> 3
  const bytes = Buffer.alloc(((number + count - 1) >> 3) - firstByte + 1)
  readFully(fd, bytes, firstByte)
  const bits = Bitfield.fromBytes(bytes.length * 8, bytes)
  const start = number - firstByte * 8
  for (let bit = start; bit < start + count; bit++) bits.set(bit, value)
  writeFully(fd, bits.toBytes(), firstByte)
}

function readSpan(fd: number, bytes: Uint8Array, position: number): number {
  try {
    return readFully(fd, bytes, position)
  } catch {
    return 0
  }
}

/** Fewer than `bytes` takes where the file ends. */
function readFully(fd: number, bytes: Uint8Array, position: number): number {
  let at = 0
  while (at < bytes.length) {
    const got = readSync(fd, bytes, at, bytes.length - at, position + at)
    if (got === 0) break
    at += got
  }
  return at
}

function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length; ) {
    at += writeSync(fd, bytes, at, bytes.length - at, position + at)
  }
}

function attempt(work: () => void): ChunkOutcome {
  try {
    work()
    return 'good'
  } catch (error) {
    return faultOf(error)
  }
}

function isNamed(chunk: Uint8Array, name: Uint8Array): 'good' | 'wrong' {
  return hash('sha256', chunk, 'buffer').equals(name) ? 'good' : 'wrong'
}

function faultOf(error: unknown): DiskFault {
  const { code, message } = error as NodeJS.ErrnoException
  return { code, message }
}
