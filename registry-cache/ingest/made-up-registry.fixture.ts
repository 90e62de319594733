/** A registry on loopback whose blobs of any size are made as they are sent, at a given pace. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as timer } from 'node:timers/promises'
import type { Digest } from '../../protocol/ids.ts'
import { digestOf } from '../oci/index.ts'
import type { ChildOrder } from './ingest.child.ts'

const pieceBytes = 64 * 1024

export type Served = Readonly<{ digest: Digest; fromByte: number }> & { bytes: number }

export type MadeUpRegistry = Readonly<{
  order: Omit<ChildOrder, 'root'>
  /** Every read of a layer, in order. */
  served: readonly Served[]
  /** Milliseconds between two pieces of 64 KiB, of each response. */
  setPaceMs(paceMs: number): void
  close(): Promise<void>
}>

/** An image of layers of these sizes. */
export async function startMadeUpRegistry(sizes: readonly number[]): Promise<MadeUpRegistry> {
  const noise = randomBytes(pieceBytes)
  let paceMs = 0
  const served: Served[] = []
  /** Piece `index` of layer `layer`: noise with a stamp, so that no two are alike. */
  const piece = (layer: number, index: number, sizeBytes: number): Buffer => {
    const bytes = Buffer.from(noise)
    bytes.writeUInt32BE(layer, 0)
    bytes.writeUInt32BE(index, 4)
    return bytes.subarray(0, Math.min(pieceBytes, sizeBytes - index * pieceBytes))
  }
  const layers = sizes.map((sizeBytes, layer) => {
    const hash = createHash('sha256')
    const count = Math.ceil(sizeBytes / pieceBytes)
    for (let index = 0; index < count; index += 1) hash.update(piece(layer, index, sizeBytes))
    return { digest: `sha256:${hash.digest('hex')}` as Digest, sizeBytes }
  })
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    }),
  )
  async function* bytesOf(layer: number, sizeBytes: number, read: Served) {
    for (let at = read.fromByte; at < sizeBytes; ) {
      const index = Math.floor(at / pieceBytes)
      const bytes = piece(layer, index, sizeBytes).subarray(at - index * pieceBytes)
      at += bytes.length
      read.bytes += bytes.length
      yield bytes
      if (paceMs > 0) await timer(paceMs)
    }
  }
  const server = createServer(({ url = '', headers }, response) => {
    const digest = url.slice(url.lastIndexOf('/') + 1) as Digest
    const layer = layers.findIndex((one) => one.digest === digest)
    const sizeBytes = layers[layer]?.sizeBytes
    if (sizeBytes === undefined) {
      response.end(config)
      return
    }
    const fromByte = Number(/\d+/.exec(headers.range ?? '0')?.[0])
    const read = { digest, fromByte, bytes: 0 }
    served.push(read)
    response.statusCode = fromByte > 0 ? 206 : 200
    response.setHeader('content-range', `bytes ${fromByte}-${sizeBytes - 1}/${sizeBytes}`)
    response.setHeader('content-length', sizeBytes - fromByte)
    // A reader that is killed breaks it off: that is what the test is about.
    const source = Readable.from(bytesOf(layer, sizeBytes, read), { highWaterMark: 1 })
    pipeline(source, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const all = [{ digest: digestOf(config), sizeBytes: config.length }, ...layers]
  return {
    order: {
      repository: `127.0.0.1:${(server.address() as AddressInfo).port}/acme/big`,
      blobs: all.map((blob) => ({
        ...blob,
        mediaType: 'x/y',
        key: randomBytes(32).toString('hex'),
      })),
    },
    served,
    setPaceMs(next) {
      paceMs = next
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
