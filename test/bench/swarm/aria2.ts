/**
 * The same file over the same links by aria2's BitTorrent: one client that seeds at the seed's link,
 * one at each home's, a tracker (opentracker) on the internet. All settings that matter for speed
 * are aria2's own defaults; only what looks for peers elsewhere is off.
 */
import { createWriteStream } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Dispatcher, request } from 'undici'
import type { Image } from '../../../scripts/image/index.ts'
import {
  type Child,
  type Host,
  type Processes,
  pattern,
  type RunFolder,
} from '../../../scripts/street/index.ts'
import type { SwarmStreet } from './homes.ts'
import { makeTorrent } from './torrent.ts'

export type RivalInit = Readonly<{
  image: Image
  swarmStreet: SwarmStreet
  run: RunFolder
  processes: Processes
  /** Into the internet. */
  agent: Dispatcher
  signal: AbortSignal
  tell: (line: string) => void
}>

const trackerPort = 6969
const peerPort = 6881
const fileName = 'layer'
/** What the hook prints; aria2 itself says nothing before it stops to seed: id, files, path. */
const completeHook = '/bin/echo'
const completeLine = /^[0-9a-f]{16} 1 /
const stopMs = 5_000
const pollMs = 100

/** For each home, seconds from the start of the clients until it had the whole file. */
export async function transferByAria2(init: RivalInit): Promise<readonly number[]> {
  const { image, swarmStreet, run, processes, signal, tell } = init
  const { internet, seed, homes } = swarmStreet
  const folder = join(run.path, 'aria2')
  const seedFolder = join(folder, 'seed')
  const trackerFolder = join(folder, 'tracker')
  const trackerConfig = join(trackerFolder, 'config')
  const torrentFile = join(folder, 'bench.torrent')
  await mkdir(seedFolder, { recursive: true })
  await mkdir(trackerFolder)
  const [layer] = image.layers
  if (!layer) throw new Error('the image has no layer')
  const file = join(seedFolder, fileName)
  await pipeline(layer.open(), createWriteStream(file))
  const tracker = `http://${internet.ipv4}:${trackerPort}/announce`
  const torrent = await makeTorrent({ file, name: fileName, tracker })
  await writeFile(torrentFile, torrent.bytes)
  const children: Child[] = []
  const start = (name: string, host: Host, command: readonly string[]): Child => {
    const child = processes.start({ name, namespace: host.namespace.path, command })
    children.push(child)
    return child
  }
  const client = (name: string, host: Host, own: readonly string[]): Child =>
    start(`aria2-${name}`, host, [
      ...['aria2c', '--no-conf', '--enable-dht=false', '--bt-enable-lpd=false'],
      ...['--seed-ratio=0', '--file-allocation=none', '--summary-interval=0'],
      ...['--console-log-level=notice', '--show-console-readout=false', '--enable-color=false'],
      ...[
        `--listen-port=${peerPort}`,
        `--on-bt-download-complete=${completeHook}`,
        ...own,
        torrentFile,
      ],
    ])
  const wait = { signal, deadlineMs: 2 ** 31 - 1 }
  try {
    await writeFile(join(trackerFolder, 'torrents'), `${torrent.infoHash}\n`)
    await writeFile(trackerConfig, `access.whitelist /torrents\naccess.stats ${internet.ipv4}\n`)
    start('opentracker', internet, [
      ...['opentracker', '-f', trackerConfig, '-d', trackerFolder, '-u', 'nobody'],
      ...['-i', internet.ipv4, '-p', `${trackerPort}`, '-P', `${trackerPort}`],
    ])
    const seeding = client('seed', seed, [`--dir=${seedFolder}`, '--check-integrity=true'])
    // It announces itself when it has checked what it has; the homes start after that.
    await seeding.waitFor(pattern(/Verification finished successfully/), wait)
    await untilPeers(1, init)
    const startMs = performance.now()
    const ends = homes.map(async (home) => {
      const dir = join(folder, home.label)
      const child = client(home.label, home, [`--dir=${dir}`])
      await child.waitFor(pattern(completeLine), wait)
      tell(`${home.label} has it by aria2`)
      return (performance.now() - startMs) / 1000
    })
    return await Promise.all(ends)
  } finally {
    await Promise.all(children.map((child) => child.stop({ graceMs: stopMs })))
  }
}

/** The tracker knows so many peers: its statistics begin with the count. */
async function untilPeers(count: number, { swarmStreet, agent, signal }: RivalInit): Promise<void> {
  const url = `http://${swarmStreet.internet.ipv4}:${trackerPort}/stats?mode=peer`
  for (;;) {
    const { body } = await request(url, { dispatcher: agent, signal })
    if (Number.parseInt(await body.text(), 10) >= count) return
    await sleep(pollMs, undefined, { signal })
  }
}
