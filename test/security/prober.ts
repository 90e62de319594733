/**
 * Knocks at every door at once, from the network that it is started in: a line of JSON on stdout for
 * each that showed any sign of life. A refusal is one: the packet arrived where it must not.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { connect } from 'node:net'
import { json } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

export type Door = Readonly<{ over: 'tcp' | 'udp'; host: string; port: number }>
export type Life = Door & Readonly<{ sign: string }>

const waitMs = 2_500
/** Our own machine's way of saying that there is no way: nothing left it. */
const noWay = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'EINVAL', 'EACCES', 'EPERM'])

if (import.meta.main) {
  const doors = (await json(process.stdin)) as readonly Door[]
  await Promise.all(doors.map(knock))
  process.exit()
}

async function knock(door: Door): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const end = door.over === 'tcp' ? knockTcp(door, resolve) : knockUdp(door, resolve)
  const sign = await Promise.race([promise, sleep(waitMs, undefined)])
  end()
  if (sign !== undefined && !noWay.has(sign)) {
    process.stdout.write(`${JSON.stringify({ ...door, sign } satisfies Life)}\n`)
  }
}

function knockTcp({ host, port }: Door, tell: (sign: string) => void): () => void {
  const socket = connect({ host, port })
  socket.once('connect', () => tell('connected'))
  socket.on('error', (error: NodeJS.ErrnoException) => tell(error.code ?? error.message))
  return () => socket.destroy()
}

/** Connected, so that an ICMP refusal is heard; not to a group, where answers have other senders. */
function knockUdp({ host, port }: Door, tell: (sign: string) => void): () => void {
  const socket: UdpSocket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  socket.on('message', () => tell('answered'))
  socket.on('error', (error: NodeJS.ErrnoException) => tell(error.code ?? error.message))
  const isGroup = /^(22[4-9]|23\d|255)\.|\.255$|^ff/i.test(host)
  const onSent = (error: Error | null): void => {
    if (error) tell((error as NodeJS.ErrnoException).code ?? error.message)
  }
  socket.bind(0, () => {
    if (!host.includes(':')) socket.setBroadcast(true)
    if (isGroup) return socket.send('hello', port, host, onSent)
    socket.connect(port, host, (...failed: unknown[]) => {
      const [error] = failed
      if (error instanceof Error) return onSent(error)
      socket.send('hello', onSent)
    })
  })
  return () => socket.close()
}
