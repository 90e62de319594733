/**
 * A thread that reads, hashes and writes the chunks of a store. On the main thread the two SHA-256
 * of a chunk on its way from store to store cost a quarter of what libp2p itself does for it, and
 * each file operation through libuv's pool 10 to 60 µs (`bench pair`: 84 MB/s without, 105 with).
 *
 * What comes seldom is done at once where it is asked for (inline-turns.ts), never beside what the
 * thread has yet to do: bits of one byte are changed one after the other.
 *
 * Writes that come while others are under way go out together, so that a fast sender costs a
 * message to the thread a batch and not a chunk. The thread lives while it is used: an idle home
 * should not pay for its memory.
 */
import assert from 'node:assert/strict'
import { Worker } from 'node:worker_threads'
import type { Uint8ArrayList } from 'uint8arraylist'
import {
  type Bit,
  type ChunkJob,
  type ChunkOutcome,
  type ChunkReply,
  type ChunkWrite,
  type DiskFault,
  doChunkJob,
  nameBytes,
} from './chunk-jobs.ts'
import { createInlineTurns } from './inline-turns.ts'

/** A batch, and the memory that is kept for the next. Eight chunks of 64 KiB. */
const batchBytes = 512 * 1024
/** One is written while the next fills; more would only add memory. */
const batchesUnderWayMax = 2
const buffersKeptMax = 3
const idleMs = 10_000

export type ChunkRead = Readonly<{
  fd: number
  position: number
  lengths: readonly number[]
  /** SHA-256 of each, one behind the other. */
  names: Uint8Array
}>
/** Chunks one behind the other, and whether each is good. */
export type ChunksRead = Readonly<{ bytes: Uint8Array; good: readonly boolean[] }>
export type ChunkPut = Readonly<{
  fd: number
  position: number
  bytes: Uint8Array | Uint8ArrayList
  /** The SHA-256 to verify; undefined: the caller made the bytes itself. */
  name: Uint8Array | undefined
  /** Set when the chunk is written. */
  bit?: Bit
}>

export interface ChunkThread {
  /** Adjacent chunks of a file, and which of them are what their names say. @throws the disk's error */
  read(read: ChunkRead): Promise<ChunksRead>
  /** Verifies, then writes. Takes a copy at once. False: it is not what its name says. @throws the disk's error */
  write(put: ChunkPut): Promise<boolean>
  /** Unsets `count` bits from one on. @throws the disk's error */
  unset(from: Bit, count: number): Promise<void>
  /** Nothing may be under way. Twice is harmless. */
  close(): Promise<void>
}

type Waiting = PromiseWithResolvers<ChunkReply>
type Batch = {
  readonly buffer: ArrayBuffer
  usedBytes: number
  readonly chunks: ChunkWrite[]
  readonly done: PromiseWithResolvers<boolean>[]
}

/** A thread for the chunks of one store; started by the first job, ended when idle. */
export function createChunkThread({
  turns = createInlineTurns(),
  nowMs = (): number => performance.now(),
} = {}): ChunkThread {
  /** For what is written inline, one after the other. */
  let scratch: ArrayBuffer | undefined
  const waiting = new Map<number, Waiting>()
  const buffers: ArrayBuffer[] = []
  let worker: Worker | undefined
  let idleTimer: NodeJS.Timeout | undefined
  let nextId = 1
  let filling: Batch | undefined
  let underWay = 0

  const end = async (): Promise<void> => {
    clearTimeout(idleTimer)
    idleTimer = undefined
    const ended = worker
    worker = undefined
    buffers.length = 0
    scratch = undefined
    await ended?.terminate()
  }
  const start = (): Worker => {
    const started = new Worker(new URL('./chunk-worker.ts', import.meta.url), {
      execArgv: [], // what a process preloads is meant for its main thread
    })
    started.on('message', (reply: ChunkReply) => {
      const job = waiting.get(reply.id)
      waiting.delete(reply.id)
      if (waiting.size === 0) idle()
      job?.resolve(reply)
    })
    started.on('error', (error) => {
      if (worker === started) worker = undefined
      for (const job of waiting.values()) job.reject(error)
      waiting.clear()
    })
    return started
  }
  const idle = (): void => {
    worker?.unref()
    idleTimer ??= setTimeout(() => void (waiting.size === 0 && end()), idleMs).unref()
    idleTimer.refresh()
  }
  const run = (job: ChunkJob, transfer: ArrayBuffer[]): Promise<ChunkReply> => {
    const done = Promise.withResolvers<ChunkReply>()
    worker ??= start()
    if (waiting.size === 0) worker.ref()
    waiting.set(job.id, done)
    worker.postMessage(job, transfer)
    return done.promise
  }
  /** Undefined: the thread should do it. */
  const inline = (bytes: number, job: () => ChunkJob): ChunkReply | undefined => {
    if (waiting.size > 0 || filling) return undefined
    const startMs = nowMs()
    if (!turns.mayDo(bytes, startMs)) return undefined
    const reply = doChunkJob(job())
    const endMs = nowMs()
    turns.did(bytes, endMs - startMs, endMs)
    return reply
  }
  const writeInline = ({ fd, position, bytes, name, bit }: ChunkPut): ChunkReply | undefined =>
    inline(bytes.length, () => {
      const { length } = bytes
      if (!scratch || scratch.byteLength < nameBytes + length) {
        scratch = new ArrayBuffer(nameBytes + length)
      }
      if (name) new Uint8Array(scratch).set(name)
      copyInto(new Uint8Array(scratch, nameBytes), bytes)
      const chunk = { fd, position, offset: 0, length, verify: name !== undefined, bit }
      return { kind: 'write', id: 0, buffer: scratch, chunks: [chunk] }
    })
  const send = async ({ buffer, chunks, done }: Batch): Promise<void> => {
    underWay += 1
    try {
      const reply = await run({ kind: 'write', id: nextId++, buffer, chunks }, [buffer])
      if (reply.buffer?.byteLength === batchBytes && buffers.length < buffersKeptMax) {
        buffers.push(reply.buffer)
      }
      for (const [at, one] of done.entries()) settle(reply.outcomes[at], one)
    } catch (error) {
      for (const { reject } of done) reject(error)
    } finally {
      underWay -= 1
      flush()
    }
  }
  const flush = (): void => {
    if (!filling || underWay >= batchesUnderWayMax) return
    const batch = filling
    filling = undefined
    void send(batch)
  }

  return {
    async read({ fd, position, lengths, names }) {
      const job: ChunkJob = { kind: 'read', id: nextId++, fd, position, lengths, names }
      const totalBytes = lengths.reduce((sum, length) => sum + length, 0)
      const { buffer, outcomes } = inline(totalBytes, () => job) ?? (await run(job, []))
      assert(buffer, 'a read has bytes')
      const good = outcomes.map((outcome) => {
        // A place that the disk gives up on (EIO) is as rotten as changed bytes.
        if (typeof outcome === 'object' && outcome.code !== 'EIO') throw errorOf(outcome)
        return outcome === 'good'
      })
      return { bytes: new Uint8Array(buffer), good }
    },
    write(put) {
      const done = Promise.withResolvers<boolean>()
      const reply = writeInline(put)
      if (reply) {
        settle(reply.outcomes[0], done)
        return done.promise
      }
      const { fd, position, bytes, name, bit } = put
      const neededBytes = nameBytes + bytes.length
      if (filling && filling.usedBytes + neededBytes > filling.buffer.byteLength) {
        const full = filling
        filling = undefined
        void send(full)
      }
      filling ??= {
        buffer: neededBytes > batchBytes ? new ArrayBuffer(neededBytes) : takeBuffer(buffers),
        usedBytes: 0,
        chunks: [],
        done: [],
      }
      const { buffer, usedBytes: offset } = filling
      if (name) new Uint8Array(buffer, offset).set(name)
      copyInto(new Uint8Array(buffer, offset + nameBytes), bytes)
      const { length } = bytes
      filling.chunks.push({ fd, position, offset, length, verify: name !== undefined, bit })
      filling.usedBytes += neededBytes
      filling.done.push(done)
      flush()
      return done.promise
    },
    async unset(from, count) {
      const { outcomes } = await run({ kind: 'unset', id: nextId++, from, count }, [])
      for (const outcome of outcomes) if (typeof outcome === 'object') throw errorOf(outcome)
    },
    close: end,
  }
}

function settle(
  outcome: ChunkOutcome | undefined,
  { resolve, reject }: PromiseWithResolvers<boolean>,
): void {
  assert(outcome, 'an outcome a chunk')
  if (typeof outcome === 'object') reject(errorOf(outcome))
  else resolve(outcome === 'good')
}

function copyInto(to: Uint8Array, bytes: Uint8Array | Uint8ArrayList): void {
  if (bytes instanceof Uint8Array) {
    to.set(bytes)
    return
  }
  let at = 0
  for (const piece of bytes) {
    to.set(piece, at)
    at += piece.length
  }
}

function takeBuffer(kept: ArrayBuffer[]): ArrayBuffer {
  return kept.pop() ?? new ArrayBuffer(batchBytes)
}

function errorOf({ code, message }: DiskFault): Error {
  return Object.assign(new Error(message), { code })
}
