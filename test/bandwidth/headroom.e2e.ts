import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { PeerAddress } from '../../protocol/mesh/index.ts'
import {
  countLeftovers,
  createRunFolder,
  createStreet,
  findLeftovers,
  type Host,
  type RunFolder,
  type Street,
} from '../../scripts/street/index.ts'
import { insideNamespace } from '../../scripts/street/run-command.ts'
import { startHost, type TestHost } from './host.ts'

const upBitsPerS = 6e6
/** For the transfer to be in full swing, and the headroom to have found its rate. */
const swingMs = 3_000
const pings = 40
const pingEveryMs = 50

const echo = `require('net').createServer((s) => { s.setNoDelay(true); s.pipe(s) })
  .listen(7, '0.0.0.0', () => console.log('ready'))`
/** A full queue drops packets of the game again and again; what is not back by then counts so much. */
const patienceMs = 15_000
/** Somebody in the home plays a game: small packets, of which each must come back soon. */
const game = (host: string) => `
  const socket = require('net').connect(7, '${host}')
  socket.setNoDelay(true)
  const sent = [], took = []
  const back = () => took.push(performance.now() - sent[took.length])
  const tell = () => {
    while (took.length < sent.length) back()
    console.log(JSON.stringify(took))
    process.exit()
  }
  socket.on('data', (data) => {
    for (const _ of data) back()
    if (took.length === ${pings}) tell()
  })
  setTimeout(tell, ${patienceMs})
  const timer = setInterval(() => {
    if (sent.length === ${pings}) return clearInterval(timer)
    sent.push(performance.now())
    socket.write('.')
  }, ${pingEveryMs})`

describe('headroom by default', function () {
  this.timeout(90_000)
  let run: RunFolder
  let street: Street
  const hosts: TestHost[] = []
  let stopEcho: () => Promise<void>

  before(async () => {
    run = await createRunFolder()
    street = await createStreet({ run })
    const { namespace } = street.internet
    const [command = '', ...args] = insideNamespace(namespace.path, [process.execPath, '-e', echo])
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    stopEcho = async () => {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    }
  })
  after(async () => {
    await Promise.all(hosts.map((host) => host.stop()))
    await stopEcho()
    await street.dispose()
    await rm(run.path, { recursive: true, force: true })
    const left = await findLeftovers({ run, namespaces: street.namespaces.all() })
    expect(countLeftovers(left), JSON.stringify(left)).to.equal(0)
  })

  const start = (at: Host): TestHost => {
    const host = startHost(at)
    hosts.push(host)
    return host
  }
  /** The round trip that nine of ten stay below, in ms, and what was measured of the line. */
  const play = async (home: Host): Promise<number> => {
    const out = await home.namespace.script(
      `exec "${process.execPath}" -e "$(cat <<'END'\n${game(street.internet.ipv4)}\nEND\n)"`,
    )
    const took = (JSON.parse(out) as number[]).sort((a, b) => a - b)
    return took[Math.floor(took.length * 0.9)] ?? 0
  }

  it('keeps a game in the same home playable while chunks go out, which no limit does not', async () => {
    const cache = start(street.internet)
    const cacheAt = await cache.ask<PeerAddress>({ do: 'measure', ip: street.internet.ipv4 })
    const found: Record<string, number> = {}
    for (const isOn of [true, false]) {
      const label = isOn ? 'default' : 'unlimited'
      // A modem of the usual kind: more than a second of upload fits into its queue.
      const home = await street.addHome({ label, shape: { upBitsPerS, queueMs: 1_200 } })
      const giver = start(home)
      const held = await giver.ask<PeerAddress & { bundle: string }>({
        ...{ do: 'serve', ip: home.ipv4, bytes: 32_000_000, limits: { uploadBytesPerS: 500_000 } },
      })
      const line = await giver.ask<{ upBitsPerS: number }>({ do: 'headroom', cache: cacheAt, isOn })
      found[`${label}: line`] = line.upBitsPerS / upBitsPerS
      if (!isOn) await giver.ask({ do: 'limits', limits: {} })
      found[`${label}: alone`] = await play(home)
      const taker = start(await street.addHome({ label: `${label}-taker` }))
      const from = { peer: held.peer, addresses: held.addresses }
      await taker.ask({ do: 'fetch', bundle: held.bundle, from, hosts: 3 })
      await sleep(swingMs)
      found[`${label}: beside`] = await play(home)
      await Promise.all([giver, taker].map((host) => host.stop()))
    }
    const facts = JSON.stringify(found)
    const waits = (label: string) =>
      (found[`${label}: beside`] ?? 0) - (found[`${label}: alone`] ?? 0)
    expect(found['default: line'], facts).to.be.within(0.85, 1.1)
    expect(waits('default'), facts).to.be.below(100)
    expect(waits('unlimited') / Math.max(10, waits('default')), facts).to.be.above(3)
  })
})
