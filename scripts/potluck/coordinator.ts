import type { ProcessEntry } from './process-module.ts'

export const coordinatorEntry: ProcessEntry = {
  name: 'coordinator',
  summary: 'the API, the scheduler, leases; signs every order',
  examples: [
    'potluck coordinator run --config /etc/potluck/coordinator.toml',
    'POTLUCK_COORDINATOR_LOG_LEVEL=debug potluck coordinator run --json',
  ],
  load: () => import('../../coordinator/index.ts'),
}
