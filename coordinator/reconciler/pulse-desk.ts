/** What an answer to a beat says of the world: the newest pulse, and how many others are there. */
import type { BeatAnswer } from '../../protocol/control/index.ts'
import type { PulseFacts, Pulses } from '../orders/index.ts'
import type { Sessions } from '../sessions/index.ts'

export interface PulseDesk {
  /** For a peer of this household. */
  tell(household: string): Pick<BeatAnswer, 'pulse' | 'otherHouseholds'>
}

export function createPulseDesk({
  pulses,
  sessions,
  facts,
}: Readonly<{
  pulses: Pulses
  sessions: Pick<Sessions, 'nodes' | 'caches'>
  facts: () => PulseFacts
}>): PulseDesk {
  let told: BeatAnswer['pulse']
  let households: ReadonlySet<string> = new Set()
  return {
    tell(household) {
      const pulse = pulses.now(facts())
      // Counted once a pulse: thousands of peers beat between two.
      if (pulse !== told || !pulse) households = householdsOf(sessions)
      told = pulse
      const otherHouseholds = households.size - (households.has(household) ? 1 : 0)
      return { ...(pulse ? { pulse } : {}), otherHouseholds }
    },
  }
}

function householdsOf({ nodes, caches }: Pick<Sessions, 'nodes' | 'caches'>): ReadonlySet<string> {
  const households = new Set<string>()
  for (const all of [nodes, caches]) {
    for (const { isHere, household } of all.values()) if (isHere) households.add(household)
  }
  return households
}
