/**
 * A home for these tests: a namespace of a node's own behind a router, with a neighbour on its LAN
 * and a host on "the internet" beyond the router. Every host but the node's has a listener.
 *
 *     home 192.168.77.2, fd77::2 ─┐
 *     neighbour …77.3, fd77::3  ──┴─ router …77.1, fd77::1 ── 203.0.113.10
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export const lan = { router: '192.168.77.1', home: '192.168.77.2', neighbour: '192.168.77.3' }
export const lan6 = { router: 'fd77::1', home: 'fd77::2', neighbour: 'fd77::3' }
export const internet = '203.0.113.10'
/** A LAN may have public addresses: the home is on this one too. */
export const publicLan = { home: '198.51.100.2', neighbour: '198.51.100.3' }
export const port = 7070
export const mailPort = 25

export type TestHome = Readonly<{
  /** `/run/netns/…` of the node. */
  namespace: string
  /** Runs a program in the node's namespace. */
  inside(command: readonly string[]): ChildProcess
  stop(): Promise<void>
}>

async function ip(...args: string[]): Promise<void> {
  await run('ip', args)
}

async function createHost(name: string): Promise<void> {
  await ip('netns', 'add', name)
  await ip('-n', name, 'link', 'set', 'lo', 'up')
}

/** Hangs `host` on the router's bridge with these addresses. */
async function plug(host: string, router: string, v4: string, v6: string): Promise<void> {
  const peer = `p${host.slice(-12)}`
  const veth = ['type', 'veth', 'peer', 'name', peer, 'netns', router]
  await ip('-n', host, 'link', 'add', 'eth0', ...veth)
  await ip('-n', router, 'link', 'set', peer, 'master', 'lan', 'up')
  await ip('-n', host, 'addr', 'add', `${v4}/24`, 'dev', 'eth0')
  await ip('-n', host, 'addr', 'add', `${v6}/64`, 'dev', 'eth0', 'nodad')
  await ip('-n', host, 'link', 'set', 'eth0', 'up')
  await ip('-n', host, 'route', 'add', 'default', 'via', lan.router)
}

export async function createHome(): Promise<TestHome> {
  const tag = randomBytes(3).toString('hex')
  const [router, home, neighbour] = [`plke${tag}r`, `plke${tag}h`, `plke${tag}n`]
  const listeners: ChildProcess[] = []

  async function listen(host: string, addresses: readonly string[]): Promise<void> {
    const program = join(import.meta.dirname, 'listener.ts')
    const ports = `${port},${mailPort}`
    const args = [`--net=/run/netns/${host}`, process.execPath, program, ports]
    const child = spawn('nsenter', [...args, ...addresses], { stdio: ['pipe', 'pipe', 'inherit'] })
    listeners.push(child)
    await once(child.stdout, 'data')
  }

  async function stop(): Promise<void> {
    for (const child of listeners) {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    }
    for (const name of [home, neighbour, router]) await ip('netns', 'del', name).catch(() => {})
  }

  try {
    for (const name of [router, home, neighbour]) await createHost(name)
    await ip('-n', router, 'link', 'add', 'lan', 'type', 'bridge')
    await ip('-n', router, 'addr', 'add', `${lan.router}/24`, 'dev', 'lan')
    await ip('-n', router, 'addr', 'add', `${lan6.router}/64`, 'dev', 'lan', 'nodad')
    await ip('-n', router, 'addr', 'add', `${internet}/32`, 'dev', 'lo')
    await ip('-n', router, 'link', 'set', 'lan', 'up')
    await plug(home, router, lan.home, lan6.home)
    await plug(neighbour, router, lan.neighbour, lan6.neighbour)
    for (const [host, address] of [
      [home, publicLan.home],
      [neighbour, publicLan.neighbour],
    ] as const) {
      await ip('-n', host, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
    }
    // Reachable where nothing forbids it: the metadata address of clouds, on the node itself.
    await ip('-n', home, 'addr', 'add', '169.254.169.254/32', 'dev', 'lo')
    await listen(router, [internet, lan.router, lan6.router])
    await listen(neighbour, [lan.neighbour, lan6.neighbour, publicLan.neighbour])
  } catch (error) {
    await stop()
    throw error
  }
  const namespace = `/run/netns/${home}`
  return {
    namespace,
    inside: ([program = '', ...args]) =>
      spawn('nsenter', [`--net=${namespace}`, program, ...args], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, TEST_NEIGHBOUR: `/run/netns/${neighbour}` },
      }),
    stop,
  }
}
