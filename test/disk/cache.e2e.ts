/**
 * One image through its life on one node with a real engine: layers unpack while others arrive, a
 * killed node fetches nothing twice, a new version moves what changed, and nothing is left when the
 * group is gone, also on a node that was away.
 */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import {
  buildImage,
  type Image,
  pushImage,
  randomLayer,
  smallImage,
} from '../../scripts/image/index.ts'
import type { Member } from '../chaos/member.ts'
import { type InstanceSight, until } from '../security/api.ts'
import { describeWithEngines } from '../security/needs.ts'
import { startTarget, type Target } from '../security/target.ts'

/** 8 MB take some seconds. */
const download = '24mbit'
const bigBytes = 8 << 20
const changedBytes = 1 << 20
/** Asked of the cache, and not written when the process died. */
const inFlightBytes = 2 << 20

type Sight = InstanceSight['potluck'] &
  Readonly<{ bytes_total: number; bytes_from_caches: number; bytes_served: number }>

describeWithEngines('an image on a node’s disk', [], function () {
  this.timeout(120_000)
  let target: Target
  let node: Member
  let folder: string
  let one: Image
  let two: Image

  before(async () => {
    const small = await smallImage()
    const random = (sizeBytes: number, seed: string) => randomLayer({ sizeBytes, seed })
    const big = await random(bigBytes, 'big')
    const build = async (changed: string): Promise<Image> =>
      buildImage({
        layers: [...small.layers, big, await random(changedBytes, changed)],
        config: { Cmd: ['/start'], Env: ['PATH=/bin'] },
        format: 'docker',
      })
    one = await build('one')
    two = await build('two')
    target = await startTarget({ engine: 'docker', nodes: 1, download })
    node = target.nodes[0]!
    folder = target.folderOf(node)
    for (const [image, tag] of [
      [one, '1'],
      [two, '2'],
    ] as const) {
      await pushImage(image, { registry: target.registry.url, repository: 'app', tag })
    }
  })
  after(() => target?.stop())

  const reference = (tag: string) => `${target.registry.address}/app:${tag}`
  const create = () =>
    target.api.create({
      name: 'app',
      container: { image: reference('1'), resources: { cpu: 1, memory: 1_024 } },
    })
  const sight = async (): Promise<Sight | undefined> =>
    (await target.api.instances('app'))[0]?.potluck as Sight | undefined
  /** Of chunks and descriptors, by the cache: it lives on when the node is killed. */
  const sentBytes = async (): Promise<number> => {
    const { metrics } = await target.cache.ready(AbortSignal.timeout(5_000))
    const text = await (await fetch(String(metrics))).text()
    const counts = text.matchAll(/^potluck_swarm_uploaded_bytes_total\{.*\} (\d+)/gm)
    return [...counts].reduce((sum, [, bytes]) => sum + Number(bytes), 0)
  }
  /** Layers that the engine has unpacked and registered. */
  const registered = async (): Promise<number> => {
    const layers = join(folder, 'docker/image/overlay2/layerdb/sha256')
    return (await readdir(layers).catch(() => [])).length
  }
  const chunkFiles = async (): Promise<readonly string[]> =>
    (await readdir(join(folder, 'chunks/blobs'))).filter((name) => name.endsWith('.chunks'))

  it('unpacks layers while others arrive, and after kill -9 fetches nothing again', async () => {
    const before = await sentBytes()
    await create()
    let seen: Sight | undefined
    await until('a layer is registered', async () => {
      seen = await sight()
      return (await registered()) > 0
    })
    expect(seen?.bytes_done ?? 0).to.be.below(one.blobBytes)
    await until('half is here', async () => ((await sight())?.bytes_done ?? 0) > one.blobBytes / 2)
    expect((await sight())?.bytes_done).to.be.below(one.blobBytes)
    await target.revive(node)
    await target.api.running('app', 1)
    const sent = (await sentBytes()) - before
    expect(sent).to.be.within(one.blobBytes, one.blobBytes + inFlightBytes)
  })

  it('moves only what changed in a new version, from the cache and to the engine', async () => {
    const [old] = await target.api.running('app', 1)
    const shared = await filesOf(folder)
    const answer = await target.api.ask('PATCH', '/app', { container: { image: reference('2') } })
    expect(answer.status, answer.text).to.equal(200)
    await until('the new version runs', async () => {
      const [now] = await target.api.instances('app')
      return now?.state === 'running' && now.id !== old?.id
    })
    const now = await sight()
    expect(now?.bytes_total).to.be.above(bigBytes)
    expect(now?.bytes_from_caches).to.be.within(changedBytes, changedBytes + 100_000)
    expect(now?.bytes_served).to.be.within(changedBytes, changedBytes + 100_000)
    const after = await filesOf(folder)
    // The same file, not a copy of it.
    expect([...shared].filter((inode) => after.has(inode)).length).to.be.at.least(2)
  })

  it('streams the image into an engine that is not to pull, and fetches nothing for it', async () => {
    await target.reconfigure(node, (settings) => {
      settings.engine = { ...(settings.engine as object), image_transfer: 'load' }
    })
    await target.api.running('app', 1)
    const now = await sight()
    expect(now?.bytes_from_caches).to.equal(0)
    expect(now?.bytes_served).to.be.within(two.blobBytes, two.blobBytes + 100_000)
    const images = await target.engineOf(node).listImages()
    const tags = images.flatMap(({ RepoTags }) => RepoTags ?? [])
    expect(tags).to.deep.equal([`127.0.0.1:1/bundle:${two.digest.replace(':', '-')}`])
  })

  it('leaves nothing of a group that was deleted while the node was away', async () => {
    expect(await chunkFiles()).to.have.length.above(3)
    await node.stop(30_000)
    await target.api.remove('app')
    node.start()
    await node.ready(AbortSignal.timeout(60_000))
    await until('the chunks are gone', async () => (await chunkFiles()).length === 0)
    expect(await readdir(join(folder, 'chunks/descriptors'))).to.deep.equal([])
  })
})

/** Inodes of the files of chunks. */
async function filesOf(folder: string): Promise<ReadonlySet<number>> {
  const blobs = join(folder, 'chunks/blobs')
  const names = (await readdir(blobs)).filter((name) => name.endsWith('.chunks'))
  return new Set(await Promise.all(names.map(async (name) => (await stat(join(blobs, name))).ino)))
}
