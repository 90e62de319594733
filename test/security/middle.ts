/** A man in the middle: a relay on loopback that can change a byte on its way, and counts cuts. */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** @param to the port of the genuine one */
export async function startMiddle(to: number) {
  const sockets = new Set<Socket>()
  let cuts = 0
  const middle = {
    port: 0,
    change: undefined as 'up' | 'down' | undefined,
    cuts: () => cuts,
    async stop() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
  const server: Server = createServer((client) => {
    const upstream = connect(to, '127.0.0.1')
    const pass = (from: Socket, into: Socket, side: 'up' | 'down'): void => {
      sockets.add(from)
      from.on('data', (bytes) => {
        const at = Math.floor(bytes.length / 2)
        if (middle.change === side) bytes[at] = (bytes[at] ?? 0) ^ 0x10
        into.write(bytes)
      })
      from.on('error', () => {})
      from.once('close', () => {
        sockets.delete(from)
        cuts += 1
        into.destroy()
      })
    }
    pass(client, upstream, 'up')
    pass(upstream, client, 'down')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  middle.port = typeof address === 'object' && address ? address.port : 0
  return middle
}
