/** A ban book over a store in memory, whose time a test moves. */
import { FakeClock } from '../../protocol/clock.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { orderFixture } from '../../protocol/orders/orders.fixture.ts'
import { createMemoryStore, type Store } from '../../protocol/store/index.ts'
import { type AuditEntry, type BanBook, openBanBook } from './index.ts'

export async function banBench(init: Readonly<{ trusted?: readonly PeerId[] }> = {}) {
  const orders = await orderFixture()
  const clock = new FakeClock(1_000)
  const store = createMemoryStore()
  const audited: AuditEntry[] = []
  const books: BanBook[] = []
  const openWith = async (over: Store): Promise<BanBook> => {
    const book = await openBanBook({
      ...{ store: over, signer: orders.orders, clock, logger: silentLogger },
      ...{ network: orders.network.network, term: orders.keeper.term },
      nowMs: () => Math.round(clock.nowMs()),
      isTrusted: (peer) => init.trusted?.includes(peer) ?? false,
      audit: async (entry) => void audited.push(entry),
    })
    books.push(book)
    return book
  }
  return {
    ...{ orders, clock, store, audited, openWith },
    open: () => openWith(store),
    async close() {
      await Promise.all(books.map((book) => book.stop()))
    },
  }
}
