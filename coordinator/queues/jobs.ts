/**
 * Jobs, durable before they are acknowledged. Heads are in memory, where lists and counts are asked
 * for; bodies are read from the disk when a job is shown. Delivery will take jobs here by
 * `job-state.ts`'s moves; until then a job is pending until it is cancelled.
 */
import { randomUUID } from 'node:crypto'
import { collection, type Store } from '../../protocol/store/index.ts'
import { JobFinishedError, JobNotFoundError, PageTooLargeError, QueueFullError } from './errors.ts'
import { moveJob } from './job-state.ts'
import { Shelf } from './shelf.ts'
import { createTurns } from './turns.ts'
import {
  type Job,
  type JobBody,
  JobBodySchema,
  type JobHead,
  JobHeadSchema,
  type JobInput,
  type JobPage,
  type Jobs,
  type PageAsked,
} from './types.ts'

export type JobsInit = Readonly<{
  /** Jobs of one queue that wait or are at work. */
  unfinishedMax?: number
  /** Finished jobs that a queue keeps to be looked at; the oldest go first. */
  finishedMax?: number
  /** Bodies that a queue keeps, finished jobs included: those go first when there is no room. */
  bytesMax?: number
  /** JSON in one answer: a hundred jobs of a megabyte each would take the coordinator's memory. */
  pageBytesMax?: number
}>

export type JobsComponents = Readonly<{ store: Store; wallNowMs?: () => number }>

/** When a full queue is worth another try. */
const retryFullS = 10
/** Removals in one write. */
const dropBatch = 500

/** Loads the heads that `store` holds. */
export async function openJobs(init: JobsInit, components: JobsComponents): Promise<Jobs> {
  const heads = collection(components.store, 'queue-jobs', JobHeadSchema)
  const book = new JobBook(init, components)
  for await (const [, head] of heads.entries()) book.load(head)
  return book
}

class JobBook implements Jobs {
  readonly #store: Store
  readonly #heads
  readonly #bodies
  readonly #wallNowMs: () => number
  readonly #unfinishedMax: number
  readonly #finishedMax: number
  readonly #bytesMax: number
  readonly #pageBytesMax: number
  readonly #shelves = new Map<string, Shelf>()
  readonly #byId = new Map<string, JobHead>()
  /** New jobs on their way to the disk, by queue: they count already. */
  readonly #arriving = new Map<string, Set<Promise<void>>>()
  readonly #inTurn = createTurns()

  constructor(
    {
      unfinishedMax = 100_000,
      finishedMax = 10_000,
      bytesMax = 4 * 2 ** 30,
      pageBytesMax = 32 << 20,
    }: JobsInit,
    { store, wallNowMs = Date.now }: JobsComponents,
  ) {
    this.#store = store
    this.#heads = collection(store, 'queue-jobs', JobHeadSchema)
    this.#bodies = collection(store, 'queue-job-bodies', JobBodySchema)
    this.#wallNowMs = wallNowMs
    this.#unfinishedMax = unfinishedMax
    this.#finishedMax = finishedMax
    this.#bytesMax = bytesMax
    this.#pageBytesMax = pageBytesMax
  }

  load(head: JobHead): void {
    this.#byId.set(head.id, head)
    for (const shelf of this.#shelvesOf(head)) shelf.put(head)
  }

  async create(queueId: string, { input, metadata, webhook, owner }: JobInput): Promise<Job> {
    const shelf = this.#shelf(queueId)
    const arriving = this.#arriving.get(queueId) ?? new Set()
    if (shelf.unfinished + arriving.size >= this.#unfinishedMax) {
      throw new QueueFullError(`${this.#unfinishedMax} jobs`, retryFullS)
    }
    const body: JobBody = {
      input: JSON.stringify(input),
      ...(metadata === undefined ? {} : { metadata: JSON.stringify(metadata) }),
    }
    const bodyBytes = Buffer.byteLength(body.input) + Buffer.byteLength(body.metadata ?? '')
    const leaving = this.#makeRoom(shelf, bodyBytes)
    const atMs = this.#wallNowMs()
    const head: JobHead = {
      ...{
        id: randomUUID(),
        queueId,
        seq: shelf.takeSeq(),
        state: 'pending',
        attempts: 0,
        bodyBytes,
      },
      events: [{ action: 'created', atMs }],
      ...{ createdMs: atMs, updatedMs: atMs },
      ...(webhook === undefined ? {} : { webhook }),
      ...(owner === undefined ? {} : { owner }),
    }
    const written = this.#add(head, body, leaving)
    this.#arriving.set(queueId, arriving.add(written))
    try {
      await written
    } finally {
      arriving.delete(written)
      if (arriving.size === 0) this.#arriving.delete(queueId)
    }
    return jobOf(head, body)
  }

  async get(queueId: string, id: string, owner?: string): Promise<Job> {
    const head = this.#head(queueId, id, owner)
    return jobOf(head, await this.#body(head))
  }

  async list(queueId: string, { page, pageSize }: PageAsked, owner?: string): Promise<JobPage> {
    const shelf = this.#shelf(queueId, owner)
    const items: Job[] = []
    let bytes = 0
    for (const head of shelf.page(page, pageSize)) {
      const body = await this.#bodies.get(keyOf(head))
      if (!body) continue // Dropped while the page was read.
      bytes += body.input.length + (body.metadata?.length ?? 0) + (body.output?.length ?? 0)
      // One that is large is shown alone, so that every job can be listed somehow.
      if (bytes > this.#pageBytesMax && items.length > 0) {
        throw new PageTooLargeError(pageSize, this.#pageBytesMax)
      }
      items.push(jobOf(head, body))
    }
    return { items, total: shelf.size }
  }

  async cancel(queueId: string, id: string, owner?: string): Promise<JobHead> {
    const { id: known } = this.#head(queueId, id, owner)
    return this.#inTurn(known, () => this.#cancel(this.#head(queueId, known)))
  }

  lengthOf(queueId: string): number {
    return this.#shelves.get(queueId)?.unfinished ?? 0
  }

  async drop(queueId: string): Promise<void> {
    await Promise.allSettled([...(this.#arriving.get(queueId) ?? [])])
    const all = [...(this.#shelves.get(queueId)?.all() ?? [])]
    for (let at = 0; at < all.length; at += dropBatch) {
      const some = all.slice(at, at + dropBatch)
      await this.#store.batch(some.flatMap((head) => this.#removal(head)))
      for (const head of some) this.#forget(head)
    }
    for (const key of this.#shelves.keys()) if (key.startsWith(queueId)) this.#shelves.delete(key)
  }

  async #add(head: JobHead, body: JobBody, leaving: readonly JobHead[]): Promise<void> {
    await this.#store.batch([
      this.#heads.putOperation(keyOf(head), head),
      this.#bodies.putOperation(keyOf(head), body),
      ...leaving.flatMap((old) => this.#removal(old)),
    ])
    for (const old of leaving) this.#forget(old)
    this.load(head)
  }

  /** The finished jobs that must go for `bodyBytes` more. @throws {QueueFullError} */
  #makeRoom(shelf: Shelf, bodyBytes: number): readonly JobHead[] {
    const leaving: JobHead[] = []
    let bytes = shelf.bytes + bodyBytes
    for (const old of bytes > this.#bytesMax ? shelf.finished() : []) {
      if (bytes <= this.#bytesMax) break
      leaving.push(old)
      bytes -= old.bodyBytes
    }
    if (bytes > this.#bytesMax) throw new QueueFullError(`${this.#bytesMax} bytes`, retryFullS)
    return leaving
  }

  async #cancel(head: JobHead): Promise<JobHead> {
    if (head.state === 'cancelled') return head
    const next = moveJob(head, 'cancel', { atMs: this.#wallNowMs() })
    if (!next) throw new JobFinishedError(head.id, head.state)
    const shelf = this.#shelf(head.queueId)
    const isFull = shelf.size - shelf.unfinished >= this.#finishedMax
    const [oldest] = isFull ? shelf.finished() : []
    await this.#store.batch([
      this.#heads.putOperation(keyOf(next), next),
      ...(oldest ? this.#removal(oldest) : []),
    ])
    if (this.#byId.has(head.id)) this.load(next)
    if (oldest) this.#forget(oldest)
    return next
  }

  #removal(head: JobHead) {
    return [
      this.#heads.deleteOperation(keyOf(head)),
      this.#bodies.deleteOperation(keyOf(head)),
    ] as const
  }

  #forget(head: JobHead): void {
    this.#byId.delete(head.id)
    for (const shelf of this.#shelvesOf(head)) shelf.remove(head)
  }

  #head(queueId: string, id: string, owner?: string): JobHead {
    const head = this.#byId.get(id.toLowerCase())
    const isTheirs = owner === undefined || head?.owner === owner
    if (head?.queueId !== queueId || !isTheirs) throw new JobNotFoundError(id)
    return head
  }

  async #body(head: JobHead): Promise<JobBody> {
    const body = await this.#bodies.get(keyOf(head))
    if (!body) throw new JobNotFoundError(head.id)
    return body
  }

  /** The queue's, or of it what `owner` sent. */
  #shelf(queueId: string, owner?: string): Shelf {
    const key = owner === undefined ? queueId : `${queueId}/${owner}`
    const found = this.#shelves.get(key) ?? new Shelf()
    this.#shelves.set(key, found)
    return found
  }

  #shelvesOf({ queueId, owner }: JobHead): readonly Shelf[] {
    return [this.#shelf(queueId), ...(owner === undefined ? [] : [this.#shelf(queueId, owner)])]
  }
}

function keyOf({ queueId, id }: Pick<JobHead, 'queueId' | 'id'>): string {
  return `${queueId}/${id}`
}

function jobOf(head: JobHead, { input, metadata, output }: JobBody): Job {
  return {
    head,
    input: JSON.parse(input),
    ...(metadata === undefined ? {} : { metadata: JSON.parse(metadata) }),
    ...(output === undefined ? {} : { output: JSON.parse(output) }),
  }
}
