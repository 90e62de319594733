import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import type { PeerAddress } from '../../protocol/mesh/index.ts'
import {
  type Child,
  countLeftovers,
  createProcesses,
  createRunFolder,
  createStreet,
  findLeftovers,
  type Home,
  type Host,
  type Processes,
  type RunFolder,
  type Street,
} from '../../scripts/street/index.ts'
import type { HomeTask } from './home.ts'
import { makeSilent, makeSymmetric, startUpnp } from './router.ts'

const program = fileURLToPath(new URL('home.ts', import.meta.url))
const bytes = 1_000_000
/** A home leaves a peer that does not answer for up to half a minute, then tries again. */
const wait = { deadlineMs: 90_000 }
const both = ['/ip4/0.0.0.0/tcp/4001', '/ip6/::/tcp/4001']

type Line = Readonly<Record<string, unknown>>

describe('homes as they are', function () {
  this.timeout(120_000)
  let run: RunFolder
  let processes: Processes
  let street: Street
  let hub: Child
  /** By IPv4 alone, and by both. */
  let hubAt: PeerAddress
  let hubAtBoth: PeerAddress
  let bundle: string

  before(async () => {
    run = await createRunFolder()
    processes = createProcesses({ run })
    street = await createStreet({ run })
    const { ipv4, ipv6 } = street.internet
    hub = start('hub', street.internet, { role: 'hub', fillBytes: bytes })
    const ready = await said(hub, 'ready')
    const peer = ready.peer as PeerAddress['peer']
    bundle = ready.bundle as string
    hubAt = { peer, addresses: [`/ip4/${ipv4}/tcp/4001`] }
    hubAtBoth = { peer, addresses: [...hubAt.addresses, `/ip6/${ipv6}/tcp/4001`] }
  })
  after(async () => {
    await processes.stopAll()
    await street.dispose()
    await rm(run.path, { recursive: true, force: true })
    const left = await findLeftovers({ run, namespaces: street.namespaces.all() })
    expect(countLeftovers(left), JSON.stringify(left)).to.equal(0)
  })

  function start(name: string, at: Host | Home, task: Partial<HomeTask>): Child {
    const seed = randomBytes(32).toString('hex')
    return processes.start({
      name,
      namespace: at.namespace.path,
      command: [process.execPath, program],
      env: { NAT_TEST: JSON.stringify({ role: 'home', seed, listen: both, ...task }) },
    })
  }
  const linesOf = (text: string): Line | undefined =>
    text.startsWith('{"') ? (JSON.parse(text) as Line) : undefined
  /** The first line with `key`, about which `is` holds; or what failed instead. */
  async function said(child: Child, key: string, is: (line: Line) => boolean = () => true) {
    return await child.waitFor(({ stream, text }) => {
      const line = stream === 'stdout' ? linesOf(text) : undefined
      if (line && 'failed' in line) throw new Error(`${child.name}: ${String(line.failed)}`)
      return line && key in line && is(line) ? line : undefined
    }, wait)
  }
  const whereabouts = ({ peer, addresses }: Line): PeerAddress =>
    ({ peer, addresses }) as unknown as PeerAddress
  const reachOf = async (child: Child, family: 'ipv4' | 'ipv6', state: string) =>
    await said(child, 'reach', ({ reach }) => (reach as Line)[family] === state)
  type Got = Readonly<Record<string, { bytes: number; ways: { at: string; limited: boolean }[] }>>

  it('two behind routers share chunks over a connection that both opened at once', async () => {
    const [a, b] = [
      await street.addHome({ label: 'a', nat: true }),
      await street.addHome({ label: 'b', nat: true }),
    ]
    await Promise.all([makeSilent(a), makeSilent(b)])
    const holder = start('a', a, { hub: hubAt, fillBytes: bytes })
    const ready = await said(holder, 'ready')
    await reachOf(holder, 'ipv4', 'nat')
    const get = { bundle: ready.bundle, hints: [whereabouts(ready)] } as HomeTask['get'] & {}
    const seeker = start('b', b, { hub: hubAt, get })
    const got = (await said(seeker, 'got')).got as Got
    const way = got[ready.peer as string]
    expect(way?.bytes).to.be.at.least(bytes)
    expect(way?.ways).to.have.length(1)
    expect(way?.ways[0]?.at).to.contain(`/ip4/${a.publicIpv4}/tcp/`).and.not.contain('/tcp/4001/')
    expect(way?.ways[0]?.limited).to.equal(false)
  })

  it('the same over IPv6, past firewalls that let nobody in', async () => {
    const [a, b] = [
      await street.addHome({ label: 'a6', nat: true }),
      await street.addHome({ label: 'b6', nat: true }),
    ]
    const holder = start('a6', a, { hub: hubAtBoth, fillBytes: bytes })
    const ready = await said(holder, 'ready')
    await reachOf(holder, 'ipv6', 'nat')
    const get = { bundle: ready.bundle, hints: [whereabouts(ready)] } as HomeTask['get'] & {}
    const got = (await said(start('b6', b, { hub: hubAtBoth, get }), 'got')).got as Got
    expect(got[ready.peer as string]?.ways[0]?.at).to.contain(`/ip6/${a.ipv6}/tcp/`)
  })

  it('behind symmetric NATs a relay carries control, and the reachable seed the bulk', async () => {
    const [c, d] = [
      await street.addHome({ label: 'c', nat: true }),
      await street.addHome({ label: 'd', nat: true }),
    ]
    await Promise.all([makeSymmetric(c), makeSymmetric(d)])
    const own = { bundle, hints: [hubAt] } as unknown as HomeTask['get'] & {}
    const holder = start('c', c, { hub: hubAt, get: own })
    const ready = await said(holder, 'ready')
    await said(holder, 'got')
    const { addresses } = await said(holder, 'addresses', (line) =>
      (line.addresses as string[]).some((address) => address.includes('/p2p-circuit')),
    )
    const hint = whereabouts({ peer: ready.peer, addresses })
    const get = { bundle, hints: [hint, hubAt] } as unknown as HomeTask['get'] & {}
    const seeker = start('d', d, { hub: hubAt, get, ping: hint })
    const got = (await said(seeker, 'got')).got as Got
    expect(got[hubAt.peer]?.bytes).to.be.at.least(bytes)
    expect(got[hint.peer]).to.deep.equal({ bytes: 0, ways: [] })
    const pinged = await said(seeker, 'pinged')
    expect(pinged.ways).to.have.length(1)
    expect(pinged.ways).to.have.nested.property('[0].limited', true)
  })

  it('an open home is dialled back over IPv4 and IPv6, and dialled by others', async () => {
    const open = await street.addHome({ label: 'open' })
    const home = start('open', open, { hub: hubAtBoth, fillBytes: bytes })
    const ready = await said(home, 'ready')
    await reachOf(home, 'ipv4', 'public')
    await reachOf(home, 'ipv6', 'public')
    const v6 = { peer: ready.peer, addresses: [`/ip6/${open.ipv6}/tcp/4001`] }
    const get = { bundle: ready.bundle, hints: [v6] } as unknown as HomeTask['get'] & {}
    const other = await street.addHome({ label: 'guest', nat: true })
    const got = (await said(start('guest', other, { get }), 'got')).got as Got
    expect(got[ready.peer as string]?.ways[0]?.at).to.contain(`/ip6/${open.ipv6}/tcp/4001`)
  })

  it('a home whose router speaks UPnP becomes dialable, until it stops', async () => {
    const mapped = await street.addHome({ label: 'mapped', nat: true })
    const router = await startUpnp(mapped, { street, processes, run })
    const home = start('mapped', mapped, { hub: hubAt, upnp: true, fillBytes: bytes })
    const ready = await said(home, 'ready')
    await reachOf(home, 'ipv4', 'public')
    expect(await router.forwarded()).to.contain('4001')
    const { addresses } = await said(home, 'addresses', (line) =>
      (line.addresses as string[]).some((address) => address.includes(router.publicIpv4)),
    )
    const hint = {
      peer: ready.peer,
      addresses: (addresses as string[]).filter((a) => a.includes(router.publicIpv4)),
    }
    const get = { bundle: ready.bundle, hints: [hint] } as unknown as HomeTask['get'] & {}
    const other = await street.addHome({ label: 'far', nat: true })
    const got = (await said(start('far', other, { get }), 'got')).got as Got
    expect(got[ready.peer as string]?.ways[0]?.at).to.contain(`/ip4/${router.publicIpv4}/tcp/`)
    await home.stop()
    expect(await router.forwarded()).to.not.contain('4001')
  })

  it('counts what the relay carried', async () => {
    await hub.stop()
    const line = await said(hub, 'relayedBytes')
    expect(line.relayedBytes).to.be.above(0).and.below(bytes)
  })
})
