/**
 * Raises the term of a network that lies below a folder: a new order key for the coordinator, and a
 * network file whose certificate outranks all before it. The key that is replaced is kept beside the
 * new one: what it signed can still be looked at.
 */
import { randomBytes } from 'node:crypto'
import { copyFile, open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { identityFromSeed, loadSeed, writeSeed } from '../../protocol/identity/index.ts'
import {
  formatNetworkFile,
  parseNetworkFile,
  raiseTerm,
  readNetworkFile,
} from '../../protocol/network/index.ts'
import { openTermCertificate, type TermCertificate } from '../../protocol/orders/index.ts'
import { createSigner } from '../../protocol/signing/index.ts'
import { networkFiles } from './files.ts'

export type WriteTermInit = Readonly<{
  dir: string
  /** Where the root key is kept; `root.key` of the folder. */
  rootKey?: string | undefined
  term?: number | undefined
  issuedMs: number
}>

/**
 * Order key first, network file last: a coordinator that starts between the two finds a key that is
 * not certified, and says so.
 */
export async function writeTerm(init: WriteTermInit): Promise<TermCertificate> {
  const at = (file: string): string => join(init.dir, file)
  const networkFile = at(networkFiles.network)
  const network = await readNetworkFile(networkFile)
  const rootSeed = await loadSeed(init.rootKey ?? at(networkFiles.rootKey))
  const { peer } = await identityFromSeed(await loadSeed(at(networkFiles.coordinatorIdentity)))
  const orderSeed = new Uint8Array(randomBytes(32))
  const raised = raiseTerm(network, {
    ...{ rootSeed, coordinator: peer, orderKey: createSigner(orderSeed).publicKey },
    ...{ term: init.term, issuedMs: init.issuedMs },
  })
  const { term: last } = openTermCertificate(network.certificate, network)
  const text = formatNetworkFile(raised)
  parseNetworkFile(text, networkFile)
  const orderKey = at(networkFiles.coordinatorOrderKey)
  await copyFile(orderKey, `${orderKey}.term-${last}`)
  await writeSeed(orderKey, orderSeed)
  await replaceFile(networkFile, text)
  return openTermCertificate(raised.certificate, raised)
}

/** A crash leaves the old file or the new one. */
async function replaceFile(path: string, text: string): Promise<void> {
  const draft = `${path}.${process.pid}.tmp`
  const file = await open(draft, 'w', 0o644)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, path)
}
