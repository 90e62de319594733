/** Which group comes first when room is short: SaladCloud's priorities, CPU-only groups below all. */
import type { Priority } from '../groups/index.ts'

const steps: Readonly<Record<Priority, number>> = { high: 3, medium: 2, low: 1, batch: 0 }

/** 0 to 7; not set is `batch`. A higher rank may take a lower one's room. */
export function rankOf(priority: Priority | undefined, wantsGpu: boolean): number {
  return (wantsGpu ? 4 : 0) + (priority ? steps[priority] : 0)
}
