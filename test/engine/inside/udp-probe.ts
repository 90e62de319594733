/** Prints, a line each, the targets (`ADDRESS,PORT`) that answer a datagram within a second. */
import { createSocket } from 'node:dgram'

async function answers(target: string): Promise<boolean> {
  const [host = '', port = ''] = target.split(',')
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  socket.on('message', () => resolve(true))
  socket.on('error', () => resolve(false))
  socket.bind(0, () => {
    socket.setBroadcast(true)
    socket.send('hello', Number(port), host, () => {})
  })
  const timer = setTimeout(() => resolve(false), 1_000)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    socket.close()
  }
}

for (const target of process.argv.slice(2)) {
  void answers(target).then((isOpen) => {
    if (isOpen) process.stdout.write(`${target}\n`)
  })
}
