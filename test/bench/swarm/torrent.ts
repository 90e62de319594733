/** A torrent file of one file (BEP 3), for the client that we are measured against. */
import { hash } from 'node:crypto'
import { createReadStream } from 'node:fs'

/** What usual tools choose for some tens of megabytes. */
const pieceBytes = 256 * 1024

export type Torrent = Readonly<{ bytes: Buffer; infoHash: string }>

export async function makeTorrent(init: {
  readonly file: string
  readonly name: string
  readonly tracker: string
}): Promise<Torrent> {
  const pieces: Buffer[] = []
  let length = 0
  for await (const piece of createReadStream(init.file, { highWaterMark: pieceBytes })) {
    pieces.push(hash('sha1', piece as Buffer, 'buffer'))
    length += (piece as Buffer).length
  }
  const info = {
    ...{ length, name: init.name, 'piece length': pieceBytes },
    pieces: Buffer.concat(pieces),
  }
  return {
    bytes: encode({ announce: init.tracker, info }),
    infoHash: hash('sha1', encode(info), 'hex'),
  }
}

type Value = number | string | Buffer | { readonly [key: string]: Value }

/** Keys stand in order, as BEP 3 asks. */
function encode(value: Value): Buffer {
  if (typeof value === 'number') return Buffer.from(`i${value}e`)
  if (typeof value === 'string') return encode(Buffer.from(value))
  if (Buffer.isBuffer(value)) return Buffer.concat([Buffer.from(`${value.length}:`), value])
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  const encoded = entries.flatMap(([key, of]) => [encode(key), encode(of)])
  return Buffer.concat([Buffer.from('d'), ...encoded, Buffer.from('e')])
}
