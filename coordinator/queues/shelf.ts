/** The heads of one queue's jobs in memory, oldest first, and the counts that are asked all the time. */
import { isFinished } from './job-state.ts'
import type { JobHead } from './types.ts'

export class Shelf {
  readonly #heads: JobHead[] = []
  #unfinished = 0
  #bytes = 0
  #nextSeq = 1

  get size(): number {
    return this.#heads.length
  }

  get unfinished(): number {
    return this.#unfinished
  }

  /** Of all bodies. */
  get bytes(): number {
    return this.#bytes
  }

  /** A number that no job of this queue has had. */
  takeSeq(): number {
    return this.#nextSeq++
  }

  /** A new head, or a newer one of the same job. */
  put(head: JobHead): void {
    this.#nextSeq = Math.max(this.#nextSeq, head.seq + 1)
    const at = this.#find(head.seq)
    const old = this.#heads[at]
    const isSame = old?.seq === head.seq
    this.#heads.splice(at, isSame ? 1 : 0, head)
    this.#unfinished += count(head) - (isSame ? count(old) : 0)
    this.#bytes += head.bodyBytes - (isSame ? old.bodyBytes : 0)
  }

  remove(head: JobHead): void {
    const at = this.#find(head.seq)
    const old = this.#heads[at]
    if (old?.seq !== head.seq) return
    this.#heads.splice(at, 1)
    this.#unfinished -= count(old)
    this.#bytes -= old.bodyBytes
  }

  /** Finished jobs, those that were made first first. */
  *finished(): Generator<JobHead> {
    for (const head of this.#heads) if (isFinished(head)) yield head
  }

  /** Newest first; `page` from 1. */
  page(page: number, pageSize: number): readonly JobHead[] {
    const end = this.#heads.length - (page - 1) * pageSize
    if (end <= 0) return []
    return this.#heads.slice(Math.max(0, end - pageSize), end).reverse()
  }

  all(): readonly JobHead[] {
    return this.#heads
  }

  /** Where `seq` is, or belongs. */
  #find(seq: number): number {
    let low = 0
    let high = this.#heads.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#heads[middle]?.seq ?? 0) < seq) low = middle + 1
      else high = middle
    }
    return low
  }
}

function count(head: JobHead): number {
  return isFinished(head) ? 0 : 1
}
