/** A host's service, over TCP and UDP: `listener.ts PORT,PORT ADDRESS…`; ends with its parent. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'

const [ports = '', ...addresses] = process.argv.slice(2)
const places = addresses.flatMap((host) => ports.split(',').map((port) => ({ host, port })))
for (const { host, port } of places) {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.end('reached\n')
  })
  server.listen(Number(port), host)
  await once(server, 'listening')
  const datagrams = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  datagrams.on('message', (_, from) => datagrams.send('reached\n', from.port, from.address))
  datagrams.bind(Number(port), host)
  await once(datagrams, 'listening')
}
process.stdin.resume().on('end', () => process.exit())
process.stdout.write('ready\n')
