/**
 * "Checked, not assumed": rules can stand and yet not bite (another table, a bridge with another
 * name, a kernel without the match). So after each start a canary listens on the host's side of the
 * container's bridge, the nearest thing of the home there is, and a probe in the container's network
 * tries to reach it. The canary is first reached from the host, or its silence would prove nothing.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import { networkInterfaces } from 'node:os'
import { extname, join } from 'node:path'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import { FirewallError } from './errors.ts'

export type CheckTarget = Readonly<{ namespacePath: string; bridge: string; gateway: string }>
export type CheckOptions = Readonly<{ signal: AbortSignal }>

/** Answers on a bridge come in microseconds: this is patience with a busy machine. */
const attemptMs = 250
/** Starting Node takes 50 ms, and seconds where both cores are busy. */
const probeTimeoutMs = 15_000
const probePath = join(import.meta.dirname, `probe${extname(import.meta.filename)}`)
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

const parseResult = Compile(Type.Object({ reached: Type.Array(Type.Boolean()) }))

/** @throws {FirewallError} ISOLATION_BROKEN: reached; ISOLATION_UNPROVED: could not be tried. */
export async function checkIsolation(target: CheckTarget, options: CheckOptions): Promise<void> {
  const token = randomBytes(16).toString('hex')
  const canaries = await openCanaries(target, token)
  try {
    await Promise.all(canaries.map(requireAlive))
    const targets = canaries.map(({ host, tcpPort, udpPort }) => ({
      // Inside, the way to the bridge is the container's only interface.
      host: host.replace(/%.*$/, '%eth0'),
      tcpPort,
      udpPort,
    }))
    const before = canaries.map((canary) => canary.seen())
    const job = { targets, timeoutMs: attemptMs, token }
    const reached = await runProbe(target.namespacePath, JSON.stringify(job), options.signal)
    const open = canaries.filter(
      (canary, at) => reached[at] === true || canary.seen() > (before[at] ?? 0),
    )
    if (open.length === 0) return
    const hosts = open.map(({ host }) => host).join(', ')
    const message = `a container on ${target.bridge} reached the host at ${hosts}; it must not`
    throw new FirewallError('ISOLATION_BROKEN', message)
  } finally {
    for (const canary of canaries) canary.close()
  }
}

type Canary = Readonly<{
  host: string
  tcpPort: number
  udpPort: number
  /** Connections and datagrams that came in. */
  seen(): number
  close(): void
}>

async function openCanaries(target: CheckTarget, token: string): Promise<readonly Canary[]> {
  const linkLocal = (networkInterfaces()[target.bridge] ?? [])
    .filter((it) => it.family === 'IPv6' && it.address.startsWith('fe80:'))
    .map((it) => `${it.address}%${target.bridge}`)
  const canaries: Canary[] = [await openCanary(target.gateway, token)]
  for (const host of linkLocal) {
    // A fresh link-local address cannot be bound for a second; then nothing else can be there.
    const canary = await openCanary(host, token).catch(() => undefined)
    if (canary) canaries.push(canary)
  }
  return canaries
}

async function openCanary(host: string, token: string): Promise<Canary> {
  let seen = 0
  const server: Server = createServer((socket) => {
    seen++
    socket.on('error', () => {})
    socket.destroy()
  })
  const datagrams: Socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  datagrams.on('message', (message) => {
    if (message.toString('latin1') === token) seen++
  })
  const close = (): void => {
    server.close()
    datagrams.close()
  }
  try {
    server.listen(0, host)
    await once(server, 'listening')
    datagrams.bind(0, host)
    await once(datagrams, 'listening')
  } catch (cause) {
    close()
    const message = `cannot listen at ${host}, a bridge's own address, to check its isolation`
    throw new FirewallError('ISOLATION_UNPROVED', message, { cause })
  }
  const address = server.address()
  const tcpPort = typeof address === 'object' && address !== null ? address.port : 0
  return { host, tcpPort, udpPort: datagrams.address().port, seen: () => seen, close }
}

async function requireAlive({ host, tcpPort }: Canary): Promise<void> {
  const socket = connect({ host, port: tcpPort })
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(5_000) })
  } catch (cause) {
    const message = `the canary at ${host} does not answer the host itself; nothing is proved`
    throw new FirewallError('ISOLATION_UNPROVED', message, { cause })
  } finally {
    socket.destroy()
  }
}

async function runProbe(
  namespacePath: string,
  job: string,
  signal: AbortSignal,
): Promise<readonly boolean[]> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const probe = [process.execPath, '--no-warnings', probePath, job]
  const args = [`--net=${namespacePath}`, '--', ...probe]
  const options = { timeout: probeTimeoutMs, signal, env: { PATH: defaultPath } }
  execFile('nsenter', args, options, (error, stdout) => {
    if (error) reject(error)
    else resolve(stdout)
  })
  try {
    const result: unknown = JSON.parse(await promise)
    if (parseResult.Check(result)) return result.reached
    throw new Error('the probe printed something else')
  } catch (cause) {
    signal.throwIfAborted()
    const message = `cannot try ${namespacePath} from inside; is nsenter there, the node root?`
    throw new FirewallError('ISOLATION_UNPROVED', message, { cause })
  }
}
