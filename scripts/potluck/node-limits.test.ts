import { mkdtemp, rm, stat } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { type Bandwidth, type Limits, serveLimits } from '../../node/bandwidth/index.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { nodeLimitsCommand } from './node-limits.ts'

describe('scripts/potluck: node limits', () => {
  let dataDir: string
  let stop: () => Promise<void>
  let chosen: Limits = {}
  const wishes: [Limits, number][] = []
  const bandwidth: Pick<Bandwidth, 'hold' | 'chosen' | 'limits'> = {
    hold(limits, forMs) {
      chosen = limits
      wishes.push([limits, forMs])
    },
    chosen: () => chosen,
    limits: () => ({ uploadBytesPerS: 500_000 }),
  }

  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'potluck-limits-'))
    stop = await serveLimits(dataDir, { bandwidth, logger: silentLogger })
  })
  after(async () => {
    await stop()
    await rm(dataDir, { recursive: true })
  })

  const run = async (...args: string[]): Promise<string> => {
    let out = ''
    const command = nodeLimitsCommand({
      stdout(text) {
        out += text
      },
    })
    await command.exitOverride().parseAsync(['--data-dir', dataDir, ...args], { from: 'user' })
    return out
  }
  const refusal = (...args: string[]) =>
    run(...args).then(
      () => 'ACCEPTED',
      (error: Error) => error.message,
    )

  it('shows what is in force', async () => {
    expect(await run()).to.equal('upload: by default (4mbit now)\ndownload: unlimited\n')
  })

  it('sets other limits for a while, and takes them back', async () => {
    const out = await run('--upload', '5mbit', '--for', '2h')
    expect(out).to.equal('upload: 5mbit\ndownload: unlimited\n')
    expect(JSON.parse(await run('--download', '20mbit', '--json'))).to.deep.equal({
      ...{ chosen: { downloadBitsPerS: 20e6 }, uploadBitsPerS: 4e6 },
    })
    await run('--usual')
    expect(wishes).to.deep.equal([
      [{ uploadBitsPerS: 5e6 }, 7_200_000],
      [{ downloadBitsPerS: 20e6 }, 3_600_000],
      [{}, 0],
    ])
  })

  it('says what is wrong with a wish', async () => {
    expect(await refusal('--upload', '5MB')).to.contain('--upload 5MB is not valid; give bits')
    expect(await refusal('--download', '1kbit')).to.contain('at least 8kbit')
    expect(await refusal('--upload', '5mbit', '--for', 'ever')).to.contain('--for ever')
    expect(await refusal('--data-dir', join(dataDir, 'nowhere'))).to.contain('no node answers')
  })

  it('is for its owner, and lives through noise', async () => {
    const path = join(dataDir, 'limits.sock')
    expect((await stat(path)).mode & 0o777).to.equal(0o600)
    for (const noise of ['\n', '{"limits":{"uploadBitsPerS":-1},"forMs":1}\n', 'x'.repeat(9_000)]) {
      const socket = createConnection(path)
      const ended = new Promise((resolve) => socket.once('close', resolve))
      socket.on('error', () => undefined).resume()
      socket.end(noise)
      await ended
    }
    expect(wishes).to.have.length(3)
    expect(await run()).to.contain('download: unlimited')
  })
})
