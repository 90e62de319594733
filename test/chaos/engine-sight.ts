/** What a node's own Docker engine shows, past the node: evidence that comes from no part of ours. */
import { createManagedEngine } from '../../node/engine/index.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { type ContainerSight, createEngineView } from '../../scripts/demo/engine-view.ts'
import type { Run } from '../../scripts/dev/run.ts'
import { nodeFolders } from '../../scripts/network/index.ts'
import { findProcesses } from '../../scripts/street/process-table.ts'

export interface EngineSight {
  /** All of the engine's containers, stopped ones too, whoever made them. */
  containers(): Promise<readonly ContainerSight[]>
  images(): Promise<number>
  /** Of the guard's process; undefined when none runs. */
  guardPid(): Promise<number | undefined>
}

export function createEngineSight(run: Run, node: string): EngineSight {
  const folders = nodeFolders(run, node)
  const { socketPath } = createManagedEngine(folders, { logger: silentLogger })
  const view = createEngineView(socketPath)
  return {
    containers: view.containers,
    images: async () => (await view.images()).length,
    async guardPid() {
      const [guard] = await findProcesses(
        ({ words }) =>
          words.some((word) => word.endsWith('/guard-process.ts')) &&
          words.includes(folders.runDir),
      )
      return guard?.pid
    },
  }
}
