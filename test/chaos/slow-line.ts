/**
 * A line of a given rate before a server. On loopback a server writes megabytes into sockets before
 * its reader has seen any; behind a line as homes and data centres have it, what was sent and what
 * was read are nearly the same, so that what a killed reader read twice can be measured.
 */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'

export interface SlowLine {
  /** `127.0.0.1:port` */
  readonly address: string
  /** What went through to clients. */
  readonly bytes: number
  close(): void
}

export type SlowLineInit = Readonly<{ host: string; port: number; bytesPerS: number }>

const tickMs = 5

export async function openSlowLine({ host, port, bytesPerS }: SlowLineInit): Promise<SlowLine> {
  const sockets = new Set<Socket>()
  let bytes = 0

  async function* paced(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
    let freeMs = performance.now()
    for await (const piece of source) {
      const nowMs = performance.now()
      freeMs = Math.max(nowMs, freeMs) + (piece.length / bytesPerS) * 1_000
      if (freeMs - nowMs > tickMs) await sleep(freeMs - nowMs)
      bytes += piece.length
      yield piece
    }
  }
  const server = createServer((client) => {
    const upstream = connect(port, host)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
    }
    // Either end may be killed: then the other is closed, and that is all.
    pipeline(client, upstream).catch(() => upstream.destroy())
    pipeline(upstream, paced, client).catch(() => client.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const at = server.address()
  if (at === null || typeof at === 'string') throw new Error('the line has no port')
  return {
    address: `127.0.0.1:${at.port}`,
    get bytes() {
      return bytes
    },
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
