/** A node's engine as its daemon wires it: a managed engine, a firewall, Docker's API over both. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm, rmdir } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { testNode } from '../../../node/engine/engine.conformance.ts'
import type { FakeImage } from '../../../node/engine/fake-endpoint.ts'
import { createDockerEngine, createManagedEngine } from '../../../node/engine/index.ts'
import {
  createFirewall,
  createForwarding,
  createIptables,
  firewallTag,
} from '../../../node/firewall/index.ts'
import { createLogger, silentLogger } from '../../../protocol/log/index.ts'
import { smallImage } from '../../../scripts/image/index.ts'

const logger = process.env.VERBOSE ? createLogger({ level: 'debug', name: 'rig' }) : silentLogger

export type Rig = Awaited<ReturnType<typeof createRig>>

export async function createRig({ dataDir, runDir }: { dataDir: string; runDir: string }) {
  const managed = createManagedEngine({ dataDir, runDir }, { logger })
  const tag = firewallTag(testNode)
  const firewall = createFirewall(
    { tag, masqueradePool: managed.pool.base },
    {
      logger,
      iptables: createIptables(),
      forwarding: createForwarding({ notePath: join(runDir, 'forwarding') }),
    },
  )
  const { signal } = new AbortController()
  const { adopted } = await managed.ensure({ signal })
  await firewall.ensure({ signal })
  const engine = createDockerEngine(
    { socketPath: managed.socketPath, node: testNode, managed: true },
    { logger, isolation: firewall },
  )
  return {
    managed,
    firewall,
    engine,
    adopted,
    tag,
    dataDir,
    runDir,
    signal,
    async stop() {
      await engine.close()
      await managed.stop()
      await firewall.stop()
      await rm(dataDir, { recursive: true, force: true })
      await rmdir(runDir)
    },
  }
}

export async function createFolders(): Promise<{ dataDir: string; runDir: string }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'potluck-engine-'))
  return { dataDir, runDir: `/run/potluck-test-${randomBytes(4).toString('hex')}` }
}

/** A busybox image, and the digest of its large layer. */
export async function busyboxImage(): Promise<{ image: FakeImage; layer: string }> {
  const image = await smallImage()
  const blobs = new Map<string, Uint8Array>()
  for (const blob of [image.config, ...image.layers]) blobs.set(blob.digest, await bytesOf(blob))
  const [large] = [...image.layers].sort((a, b) => b.sizeBytes - a.sizeBytes)
  const manifest = await bytesOf(image.manifest)
  const fake = { mediaType: image.manifest.mediaType, manifest, blobs }
  return { image: fake, layer: large?.digest ?? '' }
}

async function bytesOf(blob: { open(): AsyncIterable<Buffer> }): Promise<Uint8Array> {
  const pieces: Buffer[] = []
  for await (const piece of blob.open()) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** What a store without images and containers must not hold: layers, half downloads, bridges. */
export async function leftoversOf({ dataDir }: Pick<Rig, 'dataDir'>): Promise<readonly string[]> {
  const docker = join(dataDir, 'docker')
  const folders = ['tmp', 'overlay2', 'overlay2/l', 'image/overlay2/layerdb/sha256']
  const files = await Promise.all(
    folders.map(async (folder) => {
      const names = await readdir(join(docker, folder)).catch(() => [])
      return names.filter((name) => name !== 'l').map((name) => join(folder, name))
    }),
  )
  return [...files.flat(), ...bridges()]
}

export function bridges(): readonly string[] {
  return Object.keys(networkInterfaces()).filter((name) => name.startsWith('plk'))
}
