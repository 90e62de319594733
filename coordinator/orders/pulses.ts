/**
 * The coordinator's signed signs of life. Made when one is wanted and the last is a third of a lease
 * old, or says what no longer holds: who answers no beats needs none. Numbers rise over restarts too:
 * they are reserved on disk by the hundred, so that a node which shows a higher one than was ever
 * reserved here proves that this store has gone back.
 */
import { LRUCache } from 'lru-cache'
import type { NetworkId, Term } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { type Pulse, pulseCodec } from '../../protocol/orders/index.ts'
import type { Signer } from '../../protocol/signing/index.ts'
import { collection, type Store } from '../../protocol/store/index.ts'
import { CountSchema, type Signed } from '../../protocol/wire/index.ts'

export type PulseFacts = Readonly<{ settled: boolean; holding: boolean }>

export interface Pulses {
  /** The newest; made anew when it is due. Undefined while the disk gives no more numbers. */
  now(facts: PulseFacts): Signed | undefined
  /**
   * Whether a pulse that carries our signature is none that this store knows of: its number was never
   * reserved here, or was used here for another.
   */
  isForeign(pulse: Pick<Pulse, 'number' | 'timeMs'>): boolean
}

const reserved = 1_000
const reserveAgainAt = 500
/** An hour's. */
const rememberedMax = 1_024

/** Reserves the first numbers. @param everyMs how old a pulse gets */
export async function openPulses(
  { everyMs }: { readonly everyMs: number },
  components: Readonly<{
    store: Store
    signer: Signer
    network: NetworkId
    term: Term
    /** Coordinator's time. */
    nowMs: () => number
    logger: Logger
  }>,
): Promise<Pulses> {
  const { store, signer, network, term, nowMs, logger } = components
  const marks = collection(store, 'pulse-numbers', CountSchema())
  let number = (await marks.get('reserved')) ?? 0
  const firstNumber = number
  /** When each was made, since the start. */
  const made = new LRUCache<number, number>({ max: rememberedMax })
  let untilNumber = number
  let isReserving = false
  let newest: Readonly<{ signed: Signed; atMs: number; facts: PulseFacts }> | undefined

  const reserve = async (): Promise<void> => {
    const nextUntil = number + reserved
    await marks.put('reserved', nextUntil)
    untilNumber = nextUntil
  }
  const reserveSoon = (): void => {
    if (isReserving) return
    isReserving = true
    reserve()
      .catch((error: unknown) => logger.error({ error }, 'no pulse numbers could be reserved'))
      .finally(() => {
        isReserving = false
      })
  }
  await reserve()
  return {
    now({ settled, holding }) {
      const atMs = nowMs()
      const isDue =
        !newest ||
        atMs - newest.atMs >= everyMs ||
        newest.facts.settled !== settled ||
        newest.facts.holding !== holding
      if (untilNumber - number < reserveAgainAt) reserveSoon()
      if (!isDue || number >= untilNumber) return newest?.signed
      number += 1
      const pulse = { v: 1 as const, network, term, number, timeMs: atMs, settled, holding }
      const signed = signer.sign('pulse', pulseCodec.encode(pulse))
      made.set(number, atMs)
      newest = { signed, atMs, facts: { settled, holding } }
      return signed
    },
    isForeign(shown) {
      // What a process before this one made is not remembered, and below what was reserved for us.
      if (shown.number <= firstNumber) return false
      const madeMs = made.get(shown.number)
      return shown.number > number || (madeMs !== undefined && madeMs !== shown.timeMs)
    },
  }
}
