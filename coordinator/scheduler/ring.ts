/** A set that can be walked from any place on: constant time to add, to delete, and to begin. */
export class Ring<T> {
  readonly #items: T[] = []
  readonly #at = new Map<T, number>()

  get size(): number {
    return this.#items.length
  }

  add(item: T): void {
    if (this.#at.has(item)) return
    this.#at.set(item, this.#items.length)
    this.#items.push(item)
  }

  delete(item: T): void {
    const at = this.#at.get(item)
    const last = this.#items.pop()
    if (at === undefined || last === undefined) {
      if (last !== undefined) this.#items.push(last)
      return
    }
    this.#at.delete(item)
    if (last === item) return
    this.#items[at] = last
    this.#at.set(last, at)
  }

  /** Up to `count` items, each once, from a place on. The ring must not change meanwhile. */
  *from(start: number, count: number): Generator<T> {
    const { length } = this.#items
    for (let step = 0; step < Math.min(count, length); step++) {
      yield this.#items[(start + step) % length] as T
    }
  }
}
