/**
 * Addresses that a tenant names reach nothing inside: image references, and registries that send the
 * cache on (token realm, redirect) or whose name changes its answer. The group says why it failed,
 * and who listens there hears nobody.
 */
import { once } from 'node:events'
import {
  createServer as createHttp,
  type Server as HttpServer,
  type RequestListener,
} from 'node:http'
import { createServer, type Server } from 'node:net'
import { networkInterfaces } from 'node:os'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { runVariable } from '../../scripts/street/processes.ts'
import { createMember, type Member } from '../chaos/member.ts'
import { until } from './api.ts'
import { hostileDns } from './hostile-dns.ts'
import { startTarget, type Target } from './target.ts'

const potluck = fileURLToPath(new URL('../../scripts/potluck.ts', import.meta.url))
const preload = (path: string): string[] => ['--import', new URL(path, import.meta.url).href]

type Group = Readonly<{
  current_state: Readonly<{ status: string; description: string | null }>
}>

describe('addresses that a tenant names', function () {
  this.timeout(120_000)
  let target: Target
  let cache: Member
  /** Inside: 127.0.0.1 and ::1. Knows only that somebody came. */
  const listeners: Server[] = []
  let knocks = 0
  let port = 0
  let hostile: HttpServer
  let answer: RequestListener = () => {}
  let asked = 0
  let groups = 0

  before(async () => {
    for (const host of ['127.0.0.1', '::1']) {
      const listener = createServer((socket) => {
        knocks += 1
        socket.destroy()
      }).listen(port, host)
      await once(listener, 'listening')
      const at = listener.address()
      port = typeof at === 'object' && at ? at.port : 0
      listeners.push(listener)
    }
    hostile = createHttp((request, response) => {
      asked += 1
      answer(request, response)
    }).listen(port, '127.0.0.2')
    await once(hostile, 'listening')
    target = await startTarget({ engine: 'simulated', nodes: 1 })
    // The first start writes the settings, the second resolves names as an attacker would.
    await target.reconfigure(target.cache, (settings) => {
      delete settings.source
    })
    cache = createMember({
      ...{ name: 'cache', role: 'cache', folder: target.run.path },
      command: [
        ...[
          process.execPath,
          ...preload('../../scripts/dev/tether.ts'),
          ...preload('hostile-dns.ts'),
        ],
        ...[potluck, 'cache', 'run', '--config', `${target.run.path}/cache.toml`, '--json'],
      ],
      env: { ...process.env, [runVariable]: target.run.name, [hostileDns]: 'yes' },
    })
    await target.cache.stop(10_000)
    await startCache()
  })
  after(async () => {
    await cache?.stop(5_000)
    await target?.stop()
    for (const server of [...listeners, hostile]) server?.close()
  })

  const startCache = async (): Promise<void> => {
    cache.start()
    await cache.ready(AbortSignal.timeout(30_000))
  }

  /** Why the API refuses an image, or its group fails. */
  const failureOf = async (image: string): Promise<string> => {
    groups += 1
    const name = `inside-${groups}`
    const made = await target.api.ask('POST', '', {
      ...{ name, replicas: 1, autostart_policy: true, restart_policy: 'always' },
      container: { image, resources: { cpu: 1, memory: 1_024 } },
    })
    if (made.status !== 201) return `${made.status} ${made.text}`
    let text = ''
    await until(
      `${image} has failed`,
      async () => {
        const seen = await target.api.ask('GET', `/${name}`)
        text = seen.text
        return (seen.body as Group).current_state.status === 'failed'
      },
      20_000,
    )
    await target.api.ask('DELETE', `/${name}`)
    return text
  }
  const lanAddress = (): string => {
    const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
    return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '10.0.0.1'
  }

  it('are refused as registries when they lead inside', async () => {
    const hosts = [
      ...['127.0.0.1', 'localhost', '127.0.0.53', '0.0.0.0', '[::1]', '[::ffff:127.0.0.1]', '[::]'],
      ...['2130706433', '0x7f000001', '127.1', '017700000001', '169.254.169.254', '10.0.0.1'],
      ...['172.17.0.1', '192.168.1.1', '100.64.0.1', '[fe80::1]', '[fd00::1]', lanAddress()],
      ...['127-0-0-1.inside.example', '169-254-169-254.inside.example', 'a.rebind.example'],
    ]
    const outcomes = await Promise.all(
      hosts.map(async (host) => [host, await failureOf(`${host}:${port}/acme/app:1`)] as const),
    )
    for (const [host, outcome] of outcomes) {
      expect(outcome, host).to.match(/^400 |"ADDRESS_|ADDRESS/)
    }
    expect(knocks).to.equal(0)
    expect(asked).to.equal(0)
  })

  describe('of a registry that is allowed, and sends the cache on', () => {
    before(async () => {
      await cache.stop(10_000)
      await target.reconfigure(target.cache, (settings) => {
        settings.allow_addresses = ['127.0.0.2/32']
        // Plain HTTP everywhere: what keeps the cache away must be the address, not missing TLS.
        const names = ['localhost', '127-0-0-1.inside.example', 'b.rebind.example']
        settings.insecure_registries = [
          ...['127.0.0.0/8', '::1/128', '169.254.0.0/16', '10.0.0.0/8'],
          ...names.flatMap((name) => [name, `${name}:${port}`]),
        ]
      })
      await target.cache.stop(10_000)
      await startCache()
    })
    const inside = () => [
      `http://127.0.0.1:${port}`,
      `http://localhost:${port}`,
      `http://[::1]:${port}`,
      `http://127-0-0-1.inside.example:${port}`,
      'http://169.254.169.254/latest/meta-data',
      'http://10.0.0.1',
    ]
    const image = (name: string): string => `127.0.0.2:${port}/acme/${name}:1`

    it('by the realm of its tokens', async () => {
      for (const [number, url] of inside().entries()) {
        answer = (_, response) => {
          const challenge = `Bearer realm="${url}/token",service="x",scope="repository:a:pull"`
          response.writeHead(401, { 'www-authenticate': challenge }).end()
        }
        const before_ = asked
        expect(await failureOf(image(`realm${number}`)), url).to.match(/ADDRESS/)
        expect(asked).to.be.greaterThan(before_)
      }
      expect(knocks).to.equal(0)
    })

    it('by redirects', async () => {
      for (const [number, url] of inside().entries()) {
        answer = (request, response) => {
          if (request.url === '/v2/') response.writeHead(200).end('{}')
          else response.writeHead(307, { location: `${url}${request.url}` }).end()
        }
        const before_ = asked
        expect(await failureOf(image(`redirect${number}`)), url).to.match(/ADDRESS/)
        expect(asked).to.be.greaterThan(before_)
      }
      expect(knocks).to.equal(0)
    })

    it('by a name that changes its answer', async () => {
      answer = (request, response) => {
        response.writeHead(307, {
          location: `http://b.rebind.example:${port}${request.url}`,
          connection: 'close',
        })
        response.end()
      }
      const before_ = asked
      const outcome = await failureOf(`b.rebind.example:${port}/acme/app:1`)
      expect(outcome).to.match(/ADDRESS|REDIRECT/)
      expect(asked).to.be.greaterThan(before_)
      expect(knocks).to.equal(0)
    })
  })
})
