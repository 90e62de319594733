/** What may happen to a street while an image is on its way. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { SwarmNetwork } from './network.ts'

const cutMs = 20_000

/** Every second home loses its line for a while. */
export async function cutHalf({ nodes }: SwarmNetwork, forMs = cutMs): Promise<void> {
  const unlucky = nodes.filter((_, at) => at % 2 === 1)
  await Promise.all(unlucky.map(({ home }) => home.setConnected(false)))
  await sleep(forMs)
  await Promise.all(unlucky.map(({ home }) => home.setConnected(true)))
}

/** `kill -9` of the cache, and a new start. */
export async function killCache({ cache }: SwarmNetwork): Promise<void> {
  await cache.kill()
  await cache.start()
}
