/**
 * Draws the keys of a new network and puts each where its holder looks for it. One writer for
 * `potluck network create` and for the networks of one machine, so that demo, `dev` and benches run
 * on what an operator gets.
 */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { identityFromSeed, writeSeed } from '../../protocol/identity/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import {
  createNetwork,
  formatNetworkFile,
  type Network,
  parseNetworkFile,
} from '../../protocol/network/index.ts'
import { networkFiles } from './files.ts'

export type WriteNetworkInit = Readonly<{
  dir: string
  name: string
  /** Multiaddrs at which peers dial the coordinator, without `/p2p/…`. */
  coordinatorAddrs: readonly string[]
  householdPerAddress: readonly string[]
  /** Without the root key there is no restore: only what lives as long as its run goes without. */
  keepRootKey: boolean
  issuedMs: number
}>

export type WrittenNetwork = Readonly<{ network: Network; coordinator: PeerId; cache: PeerId }>

/** Writes `network.json`, the keys of the coordinator and those of a first cache below `dir`. */
export async function writeNetwork(init: WriteNetworkInit): Promise<WrittenNetwork> {
  const at = (file: string): string => join(init.dir, file)
  const made = await createNetwork(init)
  const text = formatNetworkFile(made.network)
  // What cannot be read back must not be handed out.
  parseNetworkFile(text, at(networkFiles.network))
  if (init.keepRootKey) await writeSeed(at(networkFiles.rootKey), made.rootSeed)
  await writeSeed(at(networkFiles.coordinatorIdentity), made.coordinatorSeed)
  await writeSeed(at(networkFiles.coordinatorOrderKey), made.orderSeed)
  await writePublic(at(networkFiles.network), text)
  const cacheSeed = new Uint8Array(randomBytes(32))
  await writeSeed(at(networkFiles.cacheIdentity), cacheSeed)
  const { peer: coordinator } = await identityFromSeed(made.coordinatorSeed)
  const { peer: cache } = await identityFromSeed(cacheSeed)
  return { network: made.network, coordinator, cache }
}

/** A file without secrets. @throws EEXIST: two that run at once must not mix their networks. */
export async function writePublic(path: string, text: string): Promise<void> {
  await writeFile(path, text, { flag: 'wx', mode: 0o644, flush: true })
}
