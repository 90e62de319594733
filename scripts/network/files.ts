/**
 * Where what lies below the folder of a network: data folders of a coordinator and of a first cache
 * with their keys, and settings that name one another. Apart from what writes them, so that
 * `potluck --help` need not load the libraries of keys.
 */
import { join } from 'node:path'

export const networkFiles = {
  network: 'network.json',
  rootKey: 'root.key',
  coordinatorData: 'coordinator',
  coordinatorIdentity: 'coordinator/identity.key',
  coordinatorOrderKey: 'coordinator/order.key',
  coordinatorSettings: 'coordinator.toml',
  cacheData: 'cache',
  cacheIdentity: 'cache/identity.key',
  cacheSettings: 'cache.toml',
} as const

export type NodeFolders = Readonly<{ dataDir: string; runDir: string }>

/** Where a node of a network on one machine keeps what; its engine mounts a tmpfs at `runDir`. */
export function nodeFolders(run: Readonly<{ path: string }>, node: string): NodeFolders {
  return { dataDir: join(run.path, node), runDir: join(run.path, node, 'run') }
}
