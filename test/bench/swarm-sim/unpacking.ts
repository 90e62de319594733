/** Docker's part: layers unpack in order, one at a time, each once all of it is here. */
import type { BundleLayout } from '../../../protocol/bundle/index.ts'

/** When an image would run, told chunk by chunk. */
export class Unpacking {
  readonly #layout: BundleLayout
  readonly #bytesPerMs: number
  readonly #missing: number[]
  readonly #completeAtMs: number[] = []

  constructor(layout: BundleLayout, bytesPerS: number) {
    this.#layout = layout
    this.#bytesPerMs = bytesPerS / 1000
    this.#missing = layout.descriptor.blobs.map(({ chunkCount }) => chunkCount)
  }

  arrived(chunk: number, nowMs: number): void {
    const { blobIndex } = this.#layout.locate(chunk)
    const left = (this.#missing[blobIndex] ?? 0) - 1
    this.#missing[blobIndex] = left
    if (left === 0) this.#completeAtMs[blobIndex] = nowMs
  }

  /** When the last layer is unpacked; all must have come. */
  get doneMs(): number {
    return this.#layout.descriptor.blobs.reduce((freeAtMs, { sizeBytes }, index) => {
      const startMs = Math.max(freeAtMs, this.#completeAtMs[index] ?? Number.POSITIVE_INFINITY)
      return startMs + sizeBytes / this.#bytesPerMs
    }, 0)
  }
}
