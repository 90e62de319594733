import { once } from 'node:events'
import { mkdtemp, readFile, rm, watch } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { bootId, bootTimeMs, systemClock } from '../../protocol/clock.ts'
import type { InstanceId, PeerId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { createGuard, rememberedGuard } from './index.ts'

const node = '12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8' as PeerId
const instance = '00000000-0000-4000-8000-00000000000a' as InstanceId

/** The two calls of the Docker API that the guard makes. */
class FakeDocker {
  readonly server: Server
  running = new Map<string, string>()
  killed: { id: string; atMs: number }[] = []
  #onKill = Promise.withResolvers<void>()

  constructor() {
    this.server = createServer((request, response) => {
      const kill = /containers\/(\w+)\/kill/.exec(request.url ?? '')?.[1]
      if (kill) {
        this.running.delete(kill)
        this.killed.push({ id: kill, atMs: bootTimeMs() })
        this.#onKill.resolve()
        this.#onKill = Promise.withResolvers()
        response.writeHead(204).end()
        return
      }
      expect(decodeURIComponent(request.url ?? '')).to.include(`potluck.node=${node}`)
      const listed = [...this.running].map(([Id, label]) => ({
        Id,
        Labels: { 'potluck.instance': label },
      }))
      response.end(JSON.stringify(listed))
    })
  }

  /** Resolves once something was killed. */
  async firstKill(): Promise<void> {
    while (this.killed.length === 0) await this.#onKill.promise
  }
}

describe('guard', () => {
  let runDir: string
  let docker: FakeDocker
  const socketPath = () => join(runDir, 'docker.sock')
  const guard = () =>
    createGuard(
      { runDir, node, socketPath: socketPath(), bootId: bootId() },
      { clock: systemClock, logger: silentLogger },
    )

  /** Of the guards that came on. */
  const pids = async () =>
    [...(await readFile(join(runDir, 'guard.log'), 'utf8')).matchAll(/"pid":(\d+)/g)].map(
      ([, pid]) => Number(pid),
    )

  beforeEach(async () => {
    runDir = await mkdtemp(join(tmpdir(), 'potluck-guard-'))
    docker = new FakeDocker()
    docker.server.listen(socketPath())
    await once(docker.server, 'listening')
  })
  afterEach(async () => {
    // One whose engine goes before it has looked once more would wait for it ever after.
    for (const pid of await pids()) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch (error) {
        expect(error).to.have.property('code', 'ESRCH')
      }
    }
    docker.server.closeAllConnections()
    docker.server.close()
    await rm(runDir, { recursive: true, force: true })
  })

  it('stops an instance when the daemon falls silent, and not before', async () => {
    docker.running.set('c1', instance)
    const ours = guard()
    const stopAtMs = bootTimeMs() + 1_500
    await ours.allow(new Map([[instance, { stopAtMs }]]))
    await docker.firstKill()
    expect(docker.killed.map(({ id }) => id)).to.deep.equal(['c1'])
    expect(docker.killed[0]?.atMs).to.be.at.least(stopAtMs)
    await ours.stop()
  })

  it('stops what it cannot account for, keeps what is extended, ends with the daemon’s word', async () => {
    docker.running.set('c1', instance)
    docker.running.set('c2', 'stranger')
    const ours = guard()
    const time = { stopAtMs: bootTimeMs() + 60_000, leaseEndMs: 7_000 }
    await ours.allow(new Map([[instance, time]]), { offsetMs: 12.5, otherHouseholds: 4 })
    await docker.firstKill()
    expect(docker.killed.map(({ id }) => id)).to.deep.equal(['c2'])
    const remembered = await rememberedGuard(runDir, bootId())
    expect([...remembered.times.keys()]).to.deep.equal([instance])
    expect(remembered.times.get(instance)).to.have.property('leaseEndMs', 7_000)
    expect(remembered.world).to.deep.equal({ offsetMs: 12.5, otherHouseholds: 4 })
    const another = await rememberedGuard(runDir, 'another boot')
    expect(another.times).to.have.property('size', 0)
    expect(another.world).to.deep.equal({})

    docker.running.clear()
    const watcher = connect(join(runDir, 'guard.sock'))
    await once(watcher, 'connect')
    const gone = once(watcher, 'close')
    await ours.stop()
    await gone
    watcher.destroy()
  })

  it('stays while the engine is away, and stops what is due when it is back', async () => {
    const ours = guard()
    docker.server.closeAllConnections()
    await new Promise((resolve) => docker.server.close(resolve))
    await ours.allow(new Map([[instance, { stopAtMs: bootTimeMs() + 100 }]]))
    const watcher = connect(join(runDir, 'guard.sock'))
    await once(watcher, 'connect')
    // Longer than a guard with nothing to do stays.
    const early = await Promise.race([
      once(watcher, 'close').then(() => 'gone'),
      systemClock.sleep(6_500).then(() => 'on guard'),
    ])
    expect(early).to.equal('on guard')
    docker.running.set('c1', instance)
    docker.server.listen(socketPath())
    await docker.firstKill()
    await ours.stop()
    watcher.destroy()
  })

  it('is one process, also when a second daemon asks, and comes back when killed', async () => {
    docker.running.set('c1', instance)
    const times = new Map([[instance, { stopAtMs: bootTimeMs() + 60_000 }]])
    const [first, second] = [guard(), guard()]
    await first.allow(times)
    await second.allow(times)
    const [pid, ...others] = await pids()
    expect(others).to.deep.equal([])
    const changes = watch(runDir, { signal: AbortSignal.timeout(10_000) })
    process.kill(pid!, 'SIGKILL')
    for await (const _ of changes) if ((await pids()).length > 1) break
    docker.running.clear()
    await first.stop()
    await second.stop()
  })
})
