/** How requests to the API ended. Routes are those that the router knows, so their number is bounded. */
import type { AnsweredRequest } from '../api/index.ts'

export interface ApiRequests {
  add(request: AnsweredRequest): void
  all(): Iterable<Readonly<{ method: string; route: string; status: string; count: number }>>
  /** Of all answers together. */
  readonly totalMs: number
}

/** Whoever asks for nonsense may send any method. */
const methods = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'])

export function createApiRequests(): ApiRequests {
  const counts = new Map<string, number>()
  let totalMs = 0
  return {
    add({ method, route, status, ms }) {
      const shown = methods.has(method) ? method : 'other'
      const key = `${shown} ${status} ${route ?? 'none'}`
      counts.set(key, (counts.get(key) ?? 0) + 1)
      totalMs += ms
    },
    *all() {
      for (const [key, count] of counts) {
        const [method = '', status = '', ...route] = key.split(' ')
        yield { method, status, route: route.join(' '), count }
      }
    },
    get totalMs() {
      return totalMs
    },
  }
}
