/**
 * So many a second for each of many keys (peers, addresses), with a bound on how many keys are
 * remembered. Forgetting a key gives it a full burst again, so the bound is far above what a burst
 * is worth.
 */
import { LRUCache } from 'lru-cache'

const keysMax = 20_000

/** Whether one more is within the key's rate at `nowMs`; it is counted if so. */
export type KeyedRate = (key: string, nowMs: number) => boolean

/** A rate for each key. @param burst at once, after silence. @param perS regained each second. */
export function createKeyedRate({
  burst,
  perS,
}: Readonly<{ burst: number; perS: number }>): KeyedRate {
  const pages = new LRUCache<string, { tokens: number; atMs: number }>({ max: keysMax })
  return (key, nowMs) => {
    const page = pages.get(key) ?? { tokens: burst, atMs: nowMs }
    page.tokens = Math.min(burst, page.tokens + ((nowMs - page.atMs) * perS) / 1000)
    page.atMs = nowMs
    const within = page.tokens >= 1
    if (within) page.tokens -= 1
    pages.set(key, page)
    return within
  }
}
