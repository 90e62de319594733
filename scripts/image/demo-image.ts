/**
 * A real image of more than 100 MB in three layers: a Debian, the Node runtime, a small web server.
 * Layers are kept in a folder, because a Debian takes half a minute to make; each is checked against
 * its digest before it is used again.
 */
import { createReadStream } from 'node:fs'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { tarOf } from '../../protocol/tar/index.ts'
import { blobOfFile, type Digest, measure } from './blob.ts'
import { debianRecipe, debianTar } from './debian.ts'
import { buildImage, type Image } from './image.ts'
import { type Layer, layerOfEntries, layerOfTar } from './layer.ts'
import { mediaTypes } from './media-types.ts'

export const demoImagePort = 8080

export type DemoImageInit = Readonly<{
  /** Where layers are kept: `.potluck/cache` of the clone. */
  cacheFolder: string
  /** The Node 24 executable that goes into the image. */
  nodeBinary?: string
  onProgress?: (line: string) => void
  signal?: AbortSignal
}>

const server = `
const { createServer } = require('node:http')
const { hostname } = require('node:os')
const names = Object.keys(process.env).sort().join(' ')
createServer((request, reply) => reply.end('Hello from Potluck, ' + hostname() + '.\\n'))
  .listen(Number(process.env.PORT ?? ${demoImagePort}), '::', function () {
    console.log('potluck: ' + hostname() + ' serves on port ' + this.address().port +
      ' with Node ' + process.version + ', environment: ' + names)
  })
process.on('SIGTERM', () => process.exit(0))
`

export async function demoImage({
  cacheFolder,
  nodeBinary = process.execPath,
  onProgress = () => {},
  signal,
}: DemoImageInit): Promise<Image> {
  await mkdir(cacheFolder, { recursive: true })
  const wait = signal ? { signal } : {}
  const keep = (name: string, makeTar: () => Promise<Readable>): Promise<Layer> =>
    keptLayer(join(cacheFolder, name), makeTar, wait)
  const [debian, runtime, app] = await Promise.all([
    keep(debianRecipe, () => debianTar({ folder: cacheFolder, onProgress, ...wait })),
    keep(`node-${process.version}`, async () => {
      onProgress(`packing Node ${process.version}`)
      return await executableTar(nodeBinary, 'usr/local/bin/node')
    }),
    layerOfEntries([{ name: 'app/server.js', mode: 0o644, data: server }]),
  ])
  return buildImage({
    layers: [debian, runtime, app],
    format: 'docker',
    config: {
      Entrypoint: ['/usr/local/bin/node'],
      Cmd: ['/app/server.js'],
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      WorkingDir: '/app',
      ExposedPorts: { [`${demoImagePort}/tcp`]: {} },
    },
  })
}

/** Stands beside a kept layer. */
type KeptRecord = { digest: Digest; diffId: Digest; sizeBytes: number }

async function keptLayer(
  path: string,
  makeTar: () => Promise<Readable>,
  options: { readonly signal?: AbortSignal },
): Promise<Layer> {
  const file = `${path}.tar.gz`
  const kept = await readKept(path)
  if (kept) return kept
  const partial = `${path}.partial-${process.pid}`
  try {
    const { digest, diffId, sizeBytes } = await layerOfTar(await makeTar(), partial, options)
    const record: KeptRecord = { digest, diffId, sizeBytes }
    await rename(partial, file)
    await writeFile(`${path}.json`, `${JSON.stringify(record)}\n`)
    return layerOfFile(file, record)
  } finally {
    await rm(partial, { force: true })
  }
}

/** Undefined unless the file is whole: a run may have been killed while it wrote. */
async function readKept(path: string): Promise<Layer | undefined> {
  try {
    const record = JSON.parse(await readFile(`${path}.json`, 'utf8')) as KeptRecord
    const { digest } = await measure(createReadStream(`${path}.tar.gz`))
    return digest === record.digest ? layerOfFile(`${path}.tar.gz`, record) : undefined
  } catch {
    return undefined // not made yet, or damaged: made again
  }
}

function layerOfFile(file: string, { digest, diffId, sizeBytes }: KeptRecord): Layer {
  return { ...blobOfFile(file, { mediaType: mediaTypes.oci.layer, digest, sizeBytes }), diffId }
}

async function executableTar(from: string, to: string): Promise<Readable> {
  const { size } = await stat(from)
  return tarOf([
    { name: to, mode: 0o755, data: { sizeBytes: size, open: () => createReadStream(from) } },
  ])
}
