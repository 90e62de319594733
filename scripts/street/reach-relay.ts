/** The process that reach.ts starts inside a namespace: `node reach-relay.ts SOCKET`. */
import { connect, createServer, type Socket } from 'node:net'

const lineMax = 300

const server = createServer({ allowHalfOpen: true }, (near: Socket) => {
  let head = Buffer.alloc(0)
  near.on('error', () => near.destroy())
  const take = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\n')
    if (end < 0 && head.length <= lineMax) return
    near.off('data', take)
    near.pause()
    const line = head.subarray(0, end).toString('latin1')
    const colon = line.lastIndexOf(':')
    const host = line.slice(0, colon).replace(/^\[|\]$/g, '')
    const far = connect({ host, port: Number(line.slice(colon + 1)), allowHalfOpen: true })
    far.on('error', () => near.destroy())
    near.on('close', () => far.destroy())
    far.write(head.subarray(end + 1))
    near.pipe(far)
    far.pipe(near)
  }
  near.on('data', take)
})

process.once('SIGTERM', () => process.exit(0))
server.listen(process.argv[2], () => console.log('listening'))
