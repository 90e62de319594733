/**
 * One holder and one requester on loopback, without limits, against a bare libp2p stream (TCP, Noise,
 * yamux, as libp2p has them), in turns in the same run. Both ends share this process and its one
 * JavaScript thread, so the ratio counts and not the rate. A stream between Potluck's own hosts is
 * told of as well: it shows what the swarm adds to it, and what its hosts save.
 * Neither is charged for its dial: the clock starts when bytes can flow.
 */
import { once } from 'node:events'
import { noise } from '@chainsafe/libp2p-noise'
import type { Libp2p } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { createMeshStreet } from '../../protocol/mesh/mesh.fixture.ts'
import {
  createSwarmStreet,
  randomBundle,
  type TestBundle,
  toyTicket,
} from '../../protocol/swarm/swarm.fixture.ts'
import { cpuSecondsPerGB, defineBench, megabytesPerS, round } from './bench.ts'

type Taken = Readonly<{ ms: number; cpu: NodeJS.CpuUsage }>

async function measured(work: () => Promise<void>): Promise<Taken> {
  const cpu = process.cpuUsage()
  const startedMs = performance.now()
  await work()
  return { ms: performance.now() - startedMs, cpu: process.cpuUsage(cpu) }
}

/** The same bytes through one stream in writes of a chunk, as fast as it takes them. */
async function oneStream({ chunks }: TestBundle, from: Libp2p, to: Libp2p): Promise<Taken> {
  const bytes = chunks.reduce((sum, { length }) => sum + length, 0)
  const done = Promise.withResolvers<void>()
  await to.handle('/bench/1', (stream) => {
    let got = 0
    stream.addEventListener('message', ({ data }) => {
      got += data.byteLength
      if (got >= bytes) done.resolve()
    })
  })
  const connection = await from.dial(to.getMultiaddrs())
  const stream = await connection.newStream('/bench/1')
  return await measured(async () => {
    for (const chunk of chunks) if (!stream.send(chunk)) await once(stream, 'drain')
    await done.promise
  })
}

async function bareStream(bundle: TestBundle): Promise<Taken> {
  const host = (): Promise<Libp2p> =>
    createLibp2p({
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
    })
  const [from, to] = [await host(), await host()]
  try {
    return await oneStream(bundle, from, to)
  } finally {
    await Promise.all([from.stop(), to.stop()])
  }
}

async function ownStream(bundle: TestBundle): Promise<Taken> {
  const street = createMeshStreet()
  try {
    return await oneStream(bundle, await street.host(), await street.host())
  } finally {
    await street.stop()
  }
}

async function swarmPair(bundle: TestBundle): Promise<Taken> {
  const street = createSwarmStreet()
  try {
    const [holder, home] = [await street.home(), await street.home()]
    await holder.fill(bundle)
    const download = home.swarm.download({
      bundle: bundle.id,
      ticket: () => toyTicket(home.address.peer, bundle.id),
      hints: [holder.address],
    })
    await download.descriptor
    return await measured(async () => void (await download.done))
  } finally {
    await street.stop()
  }
}

export const pair = defineBench({
  summary: 'one holder, one requester on loopback, against a bare libp2p stream',
  options: {
    mb: { description: 'megabytes a round', default: 128 },
    rounds: { description: 'rounds of each, in turns; the best counts', default: 3 },
  },
  async run({ mb, rounds }, tell) {
    const bytes = mb * 1_000_000
    const bundle = randomBundle(bytes)
    const taken: { bare: Taken; own: Taken; swarm: Taken }[] = []
    for (let round = 1; round <= rounds; round++) {
      const bare = await bareStream(bundle)
      const own = await ownStream(bundle)
      const swarm = await swarmPair(bundle)
      taken.push({ bare, own, swarm })
      tell(
        `round ${round}: bare ${megabytesPerS(bytes, bare.ms)} MB/s, ` +
          `between our hosts ${megabytesPerS(bytes, own.ms)} MB/s, ` +
          `swarm ${megabytesPerS(bytes, swarm.ms)} MB/s`,
      )
    }
    const best = (pick: (one: (typeof taken)[number]) => Taken): Taken =>
      taken.map(pick).reduce((a, b) => (a.ms <= b.ms ? a : b))
    const [bare, swarm] = [best((one) => one.bare), best((one) => one.swarm)]
    return {
      MBps: megabytesPerS(bytes, swarm.ms),
      bareMBps: megabytesPerS(bytes, bare.ms),
      ratio: round(bare.ms / swarm.ms),
      cpuSecondsPerGB: cpuSecondsPerGB(swarm.cpu, bytes),
      bareCpuSecondsPerGB: cpuSecondsPerGB(bare.cpu, bytes),
    }
  },
})
