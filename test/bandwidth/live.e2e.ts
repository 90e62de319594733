/**
 * A chef changes limits while the node runs: by its file and SIGHUP, by the command for a while, by
 * the hour. What is in force is read where Prometheus reads it. Needs no root, and no coordinator.
 */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { parseExposition } from '../../protocol/metrics/exposition.fixture.ts'
import { nodeFolders, type Settings, writeSettings } from '../../scripts/network/index.ts'
import {
  type Child,
  countLeftovers,
  createProcesses,
  createRunFolder,
  findLeftovers,
  type Processes,
  potluckCommand,
  type RunFolder,
  ready,
  runCommand,
} from '../../scripts/street/index.ts'

const program = fileURLToPath(new URL('../../scripts/potluck.ts', import.meta.url))
const wait = { deadlineMs: 60_000 }
const bytesPerS = (mbits: number): number => (mbits * 1e6) / 8

describe('limits of a running node', function () {
  this.timeout(120_000)
  let run: RunFolder
  let processes: Processes
  let node: Child
  let config: string
  let metricsUrl: string

  before(async () => {
    run = await createRunFolder()
    processes = createProcesses({ run })
    config = await (await settingsOf(run)).node('node', '127.0.0.1', {
      bandwidth: { upload: '8mbit', download: '40mbit' },
    })
    node = processes.start({ name: 'node', command: potluckCommand('node', config) })
    metricsUrl = String((await ready(node, wait)).metrics)
  })
  after(async () => {
    await processes.stopAll()
    await rm(run.path, { recursive: true, force: true })
    const left = await findLeftovers({ run })
    expect(countLeftovers(left), JSON.stringify(left)).to.equal(0)
  })

  const inForce = async (): Promise<Record<string, number>> => {
    const metrics = parseExposition(await (await fetch(metricsUrl)).text())
    const { samples } = metrics.get('potluck_swarm_limit_bytes_per_second')!
    return Object.fromEntries(samples.map(({ labels, value }) => [labels.direction!, value]))
  }
  /** Resolves when the node has read the file again, well or not. */
  const rewrite = async (change: (text: string) => string): Promise<string> => {
    await writeFile(config, change(await readFile(config, 'utf8')))
    const told = Promise.withResolvers<string>()
    const stop = node.onLine(({ text }) => {
      if (text.includes('read again')) told.resolve(text)
    })
    try {
      node.kill('SIGHUP')
      return await told.promise
    } finally {
      stop()
    }
  }
  const limits = (...args: string[]): Promise<string> => {
    const { dataDir } = nodeFolders(run, 'node')
    const command = [process.execPath, program, 'node', 'limits', '--data-dir', dataDir, ...args]
    return runCommand(command)
  }

  it('are those of its file, as it is after SIGHUP, each direction by itself', async () => {
    expect(await inForce()).to.deep.equal({ upload: bytesPerS(8), download: bytesPerS(40) })
    await rewrite((text) => text.replace('8mbit', '16mbit'))
    expect(await inForce()).to.deep.equal({ upload: bytesPerS(16), download: bytesPerS(40) })
    await rewrite((text) => text.replace('"40mbit"', '"unlimited"'))
    expect(await inForce()).to.deep.equal({ upload: bytesPerS(16) })
  })

  it('stay as they are where the file is wrong', async () => {
    const said = await rewrite((text) => text.replace('16mbit', '2MB'))
    expect(said).to.contain('the old ones stay in force')
    expect(await inForce()).to.deep.equal({ upload: bytesPerS(16) })
    await rewrite((text) => text.replace('2MB', '16mbit'))
  })

  it('are others for a while by the command, and the usual ones after', async () => {
    await limits('--upload', '4mbit', '--for', '1h')
    expect(await inForce()).to.deep.equal({ upload: bytesPerS(4) })
    await limits('--usual')
    expect(await inForce()).to.deep.equal({ upload: bytesPerS(16) })
  })

  it('are those of the hour', async () => {
    await rewrite((text) =>
      text.replace(
        'upload = "16mbit"',
        'upload = "16mbit"\nschedule = ["daily 00:00-12:00 upload 2mbit", "daily 12:00-24:00 upload 2mbit"]',
      ),
    )
    expect(await inForce()).to.deep.equal({ upload: bytesPerS(2) })
  })
})

/** Of a network whose coordinator is away. */
async function settingsOf(run: RunFolder): Promise<Settings> {
  const nowhere = { host: '127.0.0.1', port: 1 }
  return await writeSettings({
    ...{ run, name: 'alone', coordinator: nowhere, cache: nowhere, nodePort: 0 },
    api: { ...nowhere, ratePerMinute: 0 },
    cacheSettings: {},
    nodeSettings: {
      engine: { kind: 'simulated' },
      metrics: { port: 0 },
      chunks: { budget: '1GB' },
    },
  })
}
