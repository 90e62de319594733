/**
 * Runs inside a container's network, started by the daemon, and tries what must fail: to reach the
 * canary on the bridge's host side. Prints one line of JSON; decides nothing.
 */
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'

type Target = Readonly<{ host: string; tcpPort: number; udpPort: number }>
type Job = Readonly<{ targets: readonly Target[]; timeoutMs: number; token: string }>

/** Whether a connection opens; a refusal counts as reached, for a dropped packet cannot refuse. */
function tcpReaches({ host, tcpPort }: Target, timeoutMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect({ host, port: tcpPort })
  const end = (isReached: boolean): void => {
    clearTimeout(timer)
    socket.destroy()
    resolve(isReached)
  }
  const timer = setTimeout(() => end(false), timeoutMs)
  socket.on('connect', () => end(true))
  socket.on('error', (error) => end('code' in error && error.code === 'ECONNREFUSED'))
  return promise
}

/** Sends now and then; whether any arrives, the canary knows. */
async function udpSends({ host, udpPort }: Target, job: Job): Promise<void> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  socket.on('error', () => {})
  const send = (): void => socket.send(job.token, udpPort, host, () => {})
  send()
  const timer = setInterval(send, job.timeoutMs / 5)
  await new Promise((resolve) => setTimeout(resolve, job.timeoutMs))
  clearInterval(timer)
  socket.close()
}

const job: Job = JSON.parse(process.argv[2] ?? '{}')
const [reached] = await Promise.all([
  Promise.all(job.targets.map((target) => tcpReaches(target, job.timeoutMs))),
  Promise.all(job.targets.map((target) => udpSends(target, job))),
])
process.stdout.write(`${JSON.stringify({ reached })}\n`)
