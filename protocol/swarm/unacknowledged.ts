/**
 * When the chunks of one stream were sent that its receiver has not said to have come. A request
 * says how many have; from it and these times follows how long the newest one took.
 */
import { ProtocolBreachError } from './errors.ts'

/** Times kept for one stream; an honest requester asks for far less at once. */
const unacknowledgedMax = 4_096

/** The chunks of one stream, in the order in which they were sent. */
export class Unacknowledged {
  readonly #sentMs: number[] = []
  #before = 0

  sent(count: number, atMs: number): void {
    for (let chunk = 0; chunk < count; chunk++) this.#sentMs.push(atMs)
    this.#forget(this.#sentMs.length - unacknowledgedMax)
  }

  /**
   * @param got chunks that have come on this stream since it was opened
   * @returns when the newest of them was sent; undefined: no more than before
   * @throws {ProtocolBreachError} more than were sent
   */
  came(got: number): number | undefined {
    const count = got - this.#before
    const known = this.#sentMs.length
    if (count > known)
      throw new ProtocolBreachError(`${got} of ${this.#before + known} chunks came`)
    const newestMs = this.#sentMs[count - 1]
    this.#forget(count)
    return newestMs
  }

  #forget(count: number): void {
    if (count <= 0) return
    this.#sentMs.splice(0, count)
    this.#before += count
  }
}
