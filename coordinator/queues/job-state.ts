/**
 * How a job moves, as a table: pure, so that the API, delivery and tests agree on what is legal.
 * Without it a job that a tenant cancelled could come back as succeeded.
 *
 *     created ─▶ pending ──start──▶ running ──succeed──▶ succeeded
 *                  │  ▲                │ │
 *                  │  └────release─────┘ ├────fail─────▶ failed
 *                  └──────cancel─────────┴────cancel───▶ cancelled
 *
 * `release` gives back a job whose worker is gone: it is pending again, and the contract has no event
 * for that. Handing out, retrying and giving up are delivery's decisions, not this table's.
 */
import { type JobEvent, type JobHead, type JobState, jobEventsMax } from './types.ts'

export type JobMove = 'start' | 'release' | 'succeed' | 'fail' | 'cancel'

const moves: Readonly<
  Record<JobMove, Readonly<{ from: readonly JobState[]; to: JobState; event?: JobEvent['action'] }>>
> = {
  start: { from: ['pending'], to: 'running', event: 'started' },
  release: { from: ['running'], to: 'pending' },
  succeed: { from: ['running'], to: 'succeeded', event: 'succeeded' },
  fail: { from: ['running'], to: 'failed', event: 'failed' },
  cancel: { from: ['pending', 'running'], to: 'cancelled', event: 'cancelled' },
}

/** Whether nothing moves it any more. */
export function isFinished({ state }: Pick<JobHead, 'state'>): boolean {
  return state === 'succeeded' || state === 'cancelled' || state === 'failed'
}

/** The head after `move`; undefined when the job may not make it now. `lease` is for `start`. */
export function moveJob(
  head: JobHead,
  move: JobMove,
  { atMs, lease }: Readonly<{ atMs: number; lease?: JobHead['lease'] }>,
): JobHead | undefined {
  const { from, to, event } = moves[move]
  if (!from.includes(head.state)) return undefined
  const { lease: _, ...rest } = head
  const events = event ? [...head.events, { action: event, atMs }] : head.events
  return {
    ...rest,
    state: to,
    // The first says when it was made; of very many the newest tell more than the oldest.
    events: events.length <= jobEventsMax ? events : events.toSpliced(1, 1),
    attempts: head.attempts + (move === 'start' ? 1 : 0),
    updatedMs: atMs,
    ...(move === 'start' && lease ? { lease } : {}),
  }
}
