/**
 * Looks at a group all the time and notes what must never be seen, however briefly: an epoch that
 * goes down, one epoch on two nodes or under two instance ids, a slot served twice.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { InstanceSight, Look, Tenant } from './tenant.ts'

export interface Watcher {
  /** The newest look at the group. */
  readonly look: Look
  /** What must never be, and was seen. */
  readonly breaches: readonly string[]
  /** Looks at another group from now on. */
  watch(name: string): void
  /** The first look that `matches`, or undefined after `deadlineMs`. */
  until(matches: (look: Look) => boolean, deadlineMs: number): Promise<Look | undefined>
  stop(): Promise<void>
}

const pauseMs = 40

export function createWatcher(tenant: Tenant): Watcher {
  const breaches: string[] = []
  const newest = new Map<string, { epoch: number; id: string; node: string }>()
  let name: string | undefined
  let look: Look = { is: 'gone' }
  let stopped = false
  const listeners = new Set<(look: Look) => void>()

  const judge = (group: string, instances: readonly InstanceSight[]): void => {
    const current = instances.filter(({ state }) => state !== 'stopping')
    for (const { id, potluck } of current) {
      const { slot, epoch, node } = potluck
      const key = `${group}/${slot}`
      if (current.filter((other) => other.potluck.slot === slot).length > 1) {
        breaches.push(`slot ${key} is served twice: ${JSON.stringify(current)}`)
      }
      const known = newest.get(key)
      if (known && known.epoch > epoch) {
        breaches.push(`the epoch of slot ${key} went down from ${known.epoch} to ${epoch}`)
      }
      if (known?.epoch === epoch && (known.id !== id || known.node !== node)) {
        breaches.push(
          `epoch ${epoch} of slot ${key} was ${known.id}@${known.node}, now ${id}@${node}`,
        )
      }
      if (!known || known.epoch <= epoch) newest.set(key, { epoch, id, node })
    }
  }
  const run = async (): Promise<void> => {
    while (!stopped) {
      const asked = name
      if (asked !== undefined) {
        const seen = await tenant.look(asked)
        if (asked === name) {
          look = seen
          if (seen.is === 'there') judge(seen.group.id, seen.instances)
          for (const listener of listeners) listener(seen)
        }
      }
      await sleep(pauseMs)
    }
  }
  const running = run()
  return {
    get look() {
      return look
    },
    breaches,
    watch(next) {
      name = next
      look = { is: 'down' }
    },
    async until(matches, deadlineMs) {
      const { promise, resolve } = Promise.withResolvers<Look | undefined>()
      const listener = (seen: Look): void => {
        if (matches(seen)) resolve(seen)
      }
      listeners.add(listener)
      const timer = setTimeout(() => resolve(undefined), deadlineMs)
      try {
        return await promise
      } finally {
        clearTimeout(timer)
        listeners.delete(listener)
      }
    },
    async stop() {
      stopped = true
      await running
    },
  }
}
