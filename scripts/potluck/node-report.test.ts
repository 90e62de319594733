import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { serveAlarms } from '../../node/security/index.ts'
import type { SecurityEvidence } from '../../protocol/control/index.ts'
import { errorCode } from '../../protocol/errors.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { nodeReportCommand } from './node-report.ts'
import { UsageError } from './report-error.ts'

const slot = '00000000-0000-4000-8000-000000000001/0'

describe('scripts/potluck: node report', () => {
  let dataDir: string
  let stop: () => Promise<void>
  const heard: SecurityEvidence[] = []
  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'potluck-report-'))
    stop = await serveAlarms(dataDir, {
      desk: {
        async report(evidence) {
          heard.push(evidence)
          return { id: 'r1', slots: [slot as never], stopped: true }
        },
      },
      docket: { entries: () => [{ order: { slot } }] as never },
      logger: silentLogger,
    })
  })
  after(async () => {
    await stop()
    await rm(dataDir, { recursive: true })
  })
  const run = async (...words: readonly string[]): Promise<string> => {
    let printed = ''
    const command = nodeReportCommand({
      stdout: (text) => {
        printed += text
      },
    })
    await command.exitOverride().parseAsync(['--data-dir', dataDir, ...words], { from: 'user' })
    return printed
  }

  it('names the only slot that runs, and tells what was done', async () => {
    expect(await run('--suspect', 'workload', '--text', 'it scans')).to.equal(
      `report r1: ${slot} told to stop\n`,
    )
    expect(heard.at(-1)).to.deep.equal({
      ...{ suspect: 'workload', slot, sensor: 'operator', rule: 'manual', text: 'it scans' },
    })
    expect(JSON.parse(await run('--suspect', 'host', '--json'))).to.include({ stopped: true })
    expect(heard.at(-1)).to.include({ suspect: 'host' }).and.not.have.property('slot')
  })

  it('says what is wrong on the command line, and when no node is there', async () => {
    const wrong = await run('--suspect', 'host', '--slot', slot).catch((error: unknown) => error)
    expect(wrong).to.be.instanceOf(UsageError)
    const nobody = await run('--suspect', 'host', '--data-dir', '/nowhere').catch(errorCode)
    expect(nobody).to.equal('NODE_NOT_THERE')
  })
})
