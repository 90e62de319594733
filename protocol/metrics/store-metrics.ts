/** What the chunk store holds, and of how much. */
import type { BundleStore } from '../chunk-store/index.ts'
import type { Series } from './series.ts'

/** The store's disk, budget, chunks and bundles. */
export function defineStoreMetrics(series: Series, store: BundleStore): void {
  series.gauge({
    name: 'store_bytes',
    help: 'Disk taken by encrypted chunks and what belongs to them.',
    read: () => store.usedBytes,
  })
  series.gauge({
    name: 'store_budget_bytes',
    help: 'Disk that they may take.',
    read: () => store.budgetBytes,
  })
  series.gauge({
    name: 'store_chunks',
    help: 'Chunks held; one that two bundles share counts twice.',
    read: () => store.bundles().reduce((sum, { held }) => sum + held.count, 0),
  })
  series.gauge({
    name: 'store_bundles',
    help: 'Images held, whole and in part.',
    labels: ['state'],
    read() {
      const bundles = store.bundles()
      const whole = bundles.filter(({ complete }) => complete).length
      return [
        { labels: { state: 'whole' }, value: whole },
        { labels: { state: 'partial' }, value: bundles.length - whole },
      ]
    },
  })
}
