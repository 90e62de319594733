/**
 * Many writers, one fsync. A synced write costs the disk about 0.2 ms however much it carries
 * (measured: single synced puts 5,500/s, batched 350,000/s), so while one write is under way the
 * others queue, and the next write takes all that has queued. No timer: an idle store writes at
 * once, a busy one batches by itself. As in PostgreSQL's and etcd's commit paths.
 */
import { StoreBusyError, StoreClosedError, StoreFailedError } from './errors.ts'

/** One operation in bytes; without a value the key is deleted. */
export type ByteOperation = Readonly<{ key: Uint8Array; value?: Uint8Array }>

export type GroupCommitInit = Readonly<{
  /** Writes all or nothing, and resolves once they are on disk. */
  write: (operations: readonly ByteOperation[]) => Promise<void>
  /** Past this new writes are refused. Default 64 MiB: seconds of work for a slow disk. */
  queuedBytesMax?: number
  /** The most that one write carries. Default 8 MiB: larger ones only make the first wait. */
  writeBytesMax?: number
}>

export interface GroupCommit {
  /** Resolves when these are on disk. @throws {StoreBusyError | StoreFailedError | StoreClosedError} */
  commit(operations: readonly ByteOperation[]): Promise<void>
  /** Takes no more and resolves when all that was taken is written or has failed. */
  close(): Promise<void>
}

type Waiting = Readonly<{
  operations: readonly ByteOperation[]
  sizeBytes: number
  resolve: () => void
  reject: (error: Error) => void
}>

/** What an operation costs beside its bytes: objects, promise, log record. */
const overheadBytes = 128

/** One write at a time; the next takes all that was queued meanwhile. */
export function createGroupCommit({
  write,
  queuedBytesMax = 64 * 2 ** 20,
  writeBytesMax = 8 * 2 ** 20,
}: GroupCommitInit): GroupCommit {
  const queue: Waiting[] = []
  let queuedBytes = 0
  let failed: StoreFailedError | undefined
  let closed = false
  let working: Promise<void> | undefined

  /** The oldest waiting ones, at least one, up to `writeBytesMax`. */
  const takeGroup = (): Waiting[] => {
    let groupBytes = 0
    const past = queue.findIndex((item, index) => {
      groupBytes += item.sizeBytes
      return index > 0 && groupBytes > writeBytesMax
    })
    const group = queue.splice(0, past < 0 ? queue.length : past)
    queuedBytes -= group.reduce((sum, item) => sum + item.sizeBytes, 0)
    return group
  }

  const work = async (): Promise<void> => {
    // Let all callers of this turn of the event loop join the first group.
    await Promise.resolve()
    while (queue.length > 0) {
      const group = takeGroup()
      // After a failed write or fsync nobody knows what the disk holds, and a retried fsync may
      // lie (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020).
      if (!failed) {
        await write(group.flatMap((item) => item.operations)).catch((error: unknown) => {
          failed = new StoreFailedError(error)
        })
      }
      for (const item of group) {
        if (failed) item.reject(failed)
        else item.resolve()
      }
    }
    working = undefined
  }

  return {
    commit(operations) {
      if (closed) return Promise.reject(new StoreClosedError())
      if (failed) return Promise.reject(failed)
      const sizeBytes = operations.reduce(
        (sum, { key, value }) => sum + key.length + (value?.length ?? 0) + overheadBytes,
        0,
      )
      // A batch larger than the whole queue is still taken when nothing else waits.
      if (queuedBytes > 0 && queuedBytes + sizeBytes > queuedBytesMax) {
        return Promise.reject(new StoreBusyError(queuedBytes, queuedBytesMax))
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      queue.push({ operations, sizeBytes, resolve, reject })
      queuedBytes += sizeBytes
      working ??= work()
      return promise
    },
    async close() {
      closed = true
      await working
    },
  }
}
