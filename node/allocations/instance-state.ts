/**
 * The life of an instance on its node, as a table of legal moves.
 *
 *     accepted ─► downloading ─► creating ─► running ◄─► restarting
 *        └──────────────┴────────────┴──────────┴───────────┴─► stopping ─► stopped | failed
 *
 * A restarted daemon begins again at `accepted` and adopts what it finds; `stopped` and `failed`
 * are final. A move that is not in the table is our bug, not the world's.
 */
import assert from 'node:assert/strict'
import type { InstanceState } from '../../protocol/control/index.ts'

const moves: Readonly<Record<InstanceState, readonly InstanceState[]>> = {
  accepted: ['downloading', 'creating', 'running', 'stopping', 'failed'],
  downloading: ['creating', 'stopping', 'failed'],
  creating: ['running', 'stopping', 'failed'],
  running: ['restarting', 'stopping'],
  restarting: ['running', 'stopping'],
  stopping: ['stopped', 'failed'],
  stopped: [],
  failed: [],
}

/** Whether an instance in this state has nothing left on the machine. */
export function isFinal(state: InstanceState): boolean {
  return moves[state].length === 0
}

/** `to`, checked against the table. */
export function move(from: InstanceState, to: InstanceState): InstanceState {
  assert(moves[from].includes(to), `an instance cannot go from ${from} to ${to}`)
  return to
}
