/** Which peers are worth a series of their own. Each one is kept by Prometheus for weeks. */

/** The `max` with the most, so that a swarm of thousands makes no thousands of series. */
export function busiest<Key>(
  peers: Iterable<readonly [Key, number]>,
  max: number,
): readonly (readonly [Key, number])[] {
  return [...peers]
    .filter(([, amount]) => amount > 0)
    .sort(([, a], [, b]) => b - a)
    .slice(0, max)
}
