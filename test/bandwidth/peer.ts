/**
 * One host of the bandwidth tests, in a namespace of its own: a JSON line on stdin is a task, its
 * answer a line on stdout. It ends with stdin, so that nothing outlives the test.
 */
import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { createBandwidth, createRoundTrips } from '../../node/bandwidth/index.ts'
import type { BundleId } from '../../protocol/ids.ts'
import { createLinkTests, measureLink } from '../../protocol/link-test/index.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { dialPeer, type PeerAddress } from '../../protocol/mesh/index.ts'
import { type SwarmLimits, transferClock } from '../../protocol/swarm/index.ts'
import {
  createSwarmStreet,
  type Home,
  randomBundle,
  toyTicket,
} from '../../protocol/swarm/swarm.fixture.ts'

export type Task =
  /** Listens, and holds a bundle of noise. */
  | Readonly<{ do: 'serve'; ip: string; bytes: number; limits?: SwarmLimits }>
  | Readonly<{ do: 'limits'; limits: SwarmLimits }>
  /** Fetches a bundle by so many hosts at once; answered when it has begun. */
  | Readonly<{
      do: 'fetch'
      bundle: string
      from: PeerAddress
      hosts: number
      limits?: SwarmLimits
    }>
  /** Listens, and measures lines as a cache does. */
  | Readonly<{ do: 'measure'; ip: string }>
  /** Has its line measured by a cache that is the coordinator too, and keeps headroom by default. */
  | Readonly<{ do: 'headroom'; cache: PeerAddress; isOn: boolean }>

const secret = new Uint8Array(32).fill(9)
const port = 4001
const stopped = new AbortController()
const { signal } = stopped
const street = createSwarmStreet()
let self: Home | undefined

async function home(listen: string[], limits: SwarmLimits = {}): Promise<Home> {
  return await street.home({ mesh: { listen, seed: randomBytes(32) }, init: { limits } })
}

async function run(task: Task): Promise<object> {
  switch (task.do) {
    case 'serve': {
      self = await home([`/ip4/${task.ip}/tcp/${port}`], task.limits)
      const bundle = randomBundle(task.bytes)
      await self.fill(bundle)
      return { ...self.address, bundle: bundle.id }
    }
    case 'limits':
      self?.swarm.setLimits(task.limits)
      return {}
    case 'fetch':
      for (let host = 0; host < task.hosts; host++) {
        self = await home([], task.limits)
        const { peer } = self.address
        const bundle = task.bundle as BundleId
        const ticket = () => toyTicket(peer, bundle)
        const download = self.swarm.download({ bundle, ticket, hints: [task.from], signal })
        download.done.catch(() => undefined)
        await download.descriptor
      }
      return {}
    case 'measure': {
      self = await home([`/ip4/${task.ip}/tcp/${port}`])
      await createLinkTests({
        ...{ mesh: self.mesh, clock: transferClock, secret: () => secret, isBusy: () => false },
        ...{ onMeasured: () => undefined, logger: silentLogger },
      }).start()
      return self.address
    }
    case 'headroom':
      return await keepHeadroom(task)
  }
}

async function keepHeadroom({ cache, isOn }: Task & { do: 'headroom' }): Promise<object> {
  if (!self) throw new Error('it serves nothing yet')
  const { mesh, swarm } = self
  const rate = await measureLink(cache, { mesh, clock: transferClock, secret }, { signal })
  if (!isOn) return rate
  const connection = await dialPeer(mesh, cache, { signal })
  const parts = { clock: transferClock, logger: silentLogger }
  const bandwidth = createBandwidth({ schedule: [] }, { ...parts, wallMs: () => Date.now() })
  const { ping } = createRoundTrips({
    ...parts,
    connection: () => connection,
    onRoundTrip: bandwidth.roundTrip,
  })
  ping()
  bandwidth.measured(rate)
  void bandwidth.run(swarm, ping, signal)
  return rate
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await run(JSON.parse(line)).catch((error: Error) => ({ error: error.stack }))
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
stopped.abort(new Error('the test is over'))
// What is waited for below may hold no handle of its own.
setInterval(() => undefined, 60_000)
await street.stop()
process.exit()
