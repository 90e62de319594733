import type { ProcessEntry } from './process-module.ts'

export const cacheEntry: ProcessEntry = {
  name: 'cache',
  summary: 'pulls an image once from its registry and seeds it to the mesh',
  examples: ['potluck cache run --config /etc/potluck/cache.toml'],
  load: () => import('../../registry-cache/index.ts'),
}
