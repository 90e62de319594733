/**
 * How many nodes come back after a restart, and what it costs to greet one: measured in each reconnect
 * window for the next one. A window too short for its crowd would replace those still in the queue.
 */
import Type, { type Static } from 'typebox'
import { collection, type Store } from '../../protocol/store/index.ts'
import { CountSchema } from '../../protocol/wire/index.ts'
import { usualHandshakeMs } from './settling.ts'

const CrowdSchema = Type.Object({ nodes: CountSchema(), handshakeMs: Type.Number({ minimum: 0 }) })
export type Crowd = Readonly<Static<typeof CrowdSchema>>

export interface CrowdBook {
  /** As the last window found it. */
  readonly last: Crowd
  /** The window is over: so many came, in so much of this process's CPU time. */
  note(nodes: number, cpuMs: number): Promise<void>
}

/** Fewer say nothing of what one costs. */
const measuredMin = 50
/** All that the process does meanwhile counts too; a busy start must not make an hour of a minute. */
const handshakeMaxMs = 50

export async function openCrowdBook({ store }: { readonly store: Store }): Promise<CrowdBook> {
  const records = collection(store, 'crowd', CrowdSchema)
  let last: Crowd = (await records.get('last')) ?? { nodes: 0, handshakeMs: usualHandshakeMs }
  return {
    get last() {
      return last
    },
    async note(nodes, cpuMs) {
      const isMeasured = nodes >= measuredMin
      const measuredMs = Math.min(handshakeMaxMs, Math.max(1, cpuMs / nodes))
      last = { nodes, handshakeMs: isMeasured ? measuredMs : last.handshakeMs }
      await records.put('last', last)
    },
  }
}
