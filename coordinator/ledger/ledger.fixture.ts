/** A store that a crash cuts off, and terms and slots for it to keep. */
import { Create } from 'typebox/value'
import type { Epoch, Fence, GroupId, SlotId, Term } from '../../protocol/ids.ts'
import { createMemoryStore, type Store, type StoreOperation } from '../../protocol/store/index.ts'
import { type PricesSettings, pricesSettings } from './prices.ts'
import type { BillingTerms } from './terms.ts'

/** What an operator has who set nothing. */
export const defaultPrices: PricesSettings = Create(pricesSettings)

/**
 * What a power cut leaves: whole batches that were acknowledged, and of one under way all or
 * nothing. A handle that was crashed writes no more, whatever its owner still does.
 */
export class CrashingStore {
  readonly #disk = createMemoryStore()
  #generation = 0
  /** How the next batch ends; then all are written again. */
  next: 'written' | 'lost' | 'written, unacknowledged' = 'written'

  get disk(): Store {
    return this.#disk
  }

  open(): Store {
    this.#generation += 1
    const generation = this.#generation
    const disk = this.#disk
    const batch = async (operations: readonly StoreOperation[]): Promise<void> => {
      if (generation !== this.#generation) return await new Promise(() => undefined)
      const fate = this.next
      this.next = 'written'
      if (fate !== 'lost') await disk.batch(operations)
      if (fate !== 'written') throw new Error('the power went')
    }
    return {
      get: (key) => disk.get(key),
      entries: (range) => disk.entries(range),
      close: async () => undefined,
      batch,
      put: (key, value) => batch([{ type: 'put', key, value }]),
      delete: (key) => batch([{ type: 'del', key }]),
    }
  }
}

export function termsOf(change: Partial<BillingTerms> = {}): BillingTerms {
  return {
    organizationId: '00000000-0000-4000-8000-00000000000a',
    project: 'web',
    group: '00000000-0000-4000-8000-000000000001' as GroupId,
    groupName: 'hello',
    microsPerHour: 271_829,
    chefPercent: 70,
    ...change,
  }
}

export function slotOf(number: number): SlotId {
  return `00000000-0000-4000-8000-000000000001/${number}` as SlotId
}

export function fenceOf(epoch: number): Fence {
  return { term: 1 as Term, epoch: epoch as Epoch }
}
