/**
 * Until when each instance may run without a further word of the coordinator, on the boot clock.
 * Pure. Until pulses come, a node that loses renewals stops a minute after its lease, a strict
 * group's at its end; leases.md, "A node loses renewals" and "The guard".
 */

/** A line that is down for less than this costs nobody anything. */
export const outliveMs = 60_000

/** When the instance must have stopped: `leaseEndMs` on the boot clock, like the result. */
export function stopAtMs(leaseEndMs: number, { strict }: { readonly strict: boolean }): number {
  return strict ? leaseEndMs : leaseEndMs + outliveMs
}
