/** Where the time of a download goes: the first question when one was slow. */

/** In order; a download that has some of it already passes over the first. */
const names = ['findingPeersMs', 'descriptorMs', 'chunksMs', 'endgameMs'] as const
type Phase = (typeof names)[number]

/**
 * `findingPeersMs`: until the first has let us join. `descriptorMs`: until the descriptor is here.
 * `chunksMs`: while there are chunks to ask for. `endgameMs`: until the last of those asked for came.
 */
export type PhaseTimes = Readonly<Record<Phase, number>>

export const noPhases: PhaseTimes = {
  ...{ findingPeersMs: 0, descriptorMs: 0, chunksMs: 0, endgameMs: 0 },
}

/** The clock of one download. A phase that has passed does not come again. */
export class PhaseTimer {
  #times: PhaseTimes = noPhases
  #at = 0
  #sinceMs: number

  constructor(nowMs: number) {
    this.#sinceMs = nowMs
  }

  /** It is in `phase` from now on, unless it is past that. */
  enter(phase: Phase, nowMs: number): void {
    const next = names.indexOf(phase)
    if (next <= this.#at) return
    this.#times = this.times(nowMs)
    this.#sinceMs = nowMs
    this.#at = next
  }

  times(nowMs: number): PhaseTimes {
    const phase = names[this.#at] ?? 'endgameMs'
    return { ...this.#times, [phase]: this.#times[phase] + nowMs - this.#sinceMs }
  }
}
