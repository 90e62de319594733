/** A group as tests want one, and the parts around it. */
import { silentLogger } from '../../protocol/log/index.ts'
import type { Store } from '../../protocol/store/index.ts'
import { createSealer } from '../secrets/index.ts'
import { createGroups } from './groups.ts'
import type { GroupInput, Groups, ProjectScope } from './types.ts'

export const scope: ProjectScope = {
  organization: 'acme',
  organizationId: '00000000-0000-4000-8000-000000000001',
  project: 'web',
  projectId: '00000000-0000-4000-8000-000000000002',
}
export const otherProject: ProjectScope = {
  ...scope,
  project: 'other',
  projectId: '00000000-0000-4000-8000-000000000003',
}

export function groupInput(changes: Partial<GroupInput> = {}): GroupInput {
  return {
    name: 'hello',
    displayName: 'Hello',
    autostart: true,
    replicas: 3,
    container: {
      image: 'registry.example/acme/hello:1',
      milliCpus: 1_000,
      memoryBytes: 2 ** 30,
      storageBytes: 2 ** 30,
      shmBytes: 64 * 2 ** 20,
      gpuClasses: [],
      command: [],
    },
    env: {},
    restartPolicy: 'always',
    countryCodes: [],
    extension: { lostAfterMs: 0, orphanAfterMs: 3_600_000, strict: false },
    kept: {},
    ...changes,
  }
}

export function openGroups(store: Store, replicasQuota = 100): Promise<Groups> {
  const sealer = createSealer([{ id: '00000001', key: Buffer.alloc(32, 7) }])
  return createGroups({ replicasQuota }, { store, sealer, logger: silentLogger })
}
