import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import type { SecurityEvidence, SecurityReport } from '../../protocol/control/index.ts'
import { errorCode } from '../../protocol/errors.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import {
  type AllocationsBench,
  openAllocationsBench,
  slot,
  uuid,
} from '../allocations/allocations.fixture.ts'
import type { Allocations } from '../allocations/index.ts'
import { openSecurityDesk, raiseAlarm, serveAlarms } from './index.ts'

const alarm: SecurityEvidence = {
  ...{ suspect: 'workload', sensor: 'falco', rule: 'Terminal shell in container' },
  text: 'a shell was spawned',
}
const host: SecurityEvidence = { ...alarm, suspect: 'host' }

describe('security desk', () => {
  let bench: AllocationsBench
  let allocations: Allocations
  let sent: SecurityReport[]
  const open = async () => {
    let ids = sent.length
    return await openSecurityDesk({
      ...{ store: bench.store, allocations, logger: silentLogger, wallMs: () => 5 },
      send: (report) => sent.push(report),
      newId: () => uuid(++ids),
    })
  }
  const run = async (...groups: readonly number[]): Promise<void> => {
    for (const group of groups) {
      await allocations.offer(
        await bench.order({ slot: slot(group), instance: uuid(group) as never }),
      )
    }
    const isRunning = (group: number): boolean =>
      bench.reports.some((report) => report.slot === slot(group) && report.state === 'running')
    while (!groups.every(isRunning)) await new Promise((resolve) => setTimeout(resolve, 2))
  }
  beforeEach(async () => {
    bench = await openAllocationsBench()
    allocations = await bench.open()
    sent = []
  })
  afterEach(() => bench.close())

  it('stops the suspect workload, and no other, before anybody is asked', async () => {
    const desk = await open()
    await run(1, 2)
    const outcome = await desk.report({ ...alarm, slot: slot(1) })
    expect(outcome).to.deep.include({ slots: [slot(1)], stopped: true })
    expect((await bench.containers()).map((container) => container.slot)).to.deep.equal([slot(2)])
    expect(sent.map(({ evidence }) => evidence.slot)).to.deep.equal([slot(1)])
    const end = bench.reports.findLast((report) => report.slot === slot(1))
    expect(end?.fault?.code).to.equal('SECURITY_ALERT')
  })

  it('stops everything on a suspect host, and takes nothing more', async () => {
    const desk = await open()
    await run(1, 2)
    expect((await desk.report(host)).slots).to.have.members([slot(1), slot(2)])
    expect(await bench.containers()).to.deep.equal([])
    const answer = await allocations.offer(await bench.order({ slot: slot(3) }))
    expect(answer?.refusal?.code).to.equal('NODE_STOPPING')
  })

  it('says it again, also after a restart, until the coordinator has it', async () => {
    const first = await open()
    await first.report(host)
    allocations = await bench.open()
    const second = await open()
    const answer = await allocations.offer(await bench.order({ slot: slot(3) }))
    expect(answer?.refusal?.code).to.equal('NODE_STOPPING')
    second.resend()
    expect(sent).to.have.length(2)
    expect(sent[1]).to.deep.equal(sent[0])
    await second.taken(sent[0]?.id ?? '')
    const third = await open()
    third.resend()
    expect(sent).to.have.length(2)
  })

  it('does not wait for an engine that hangs, nor keeps the alarm from being told', async () => {
    const hangs = Promise.withResolvers<void>()
    const desk = await openSecurityDesk({
      ...{ store: bench.store, logger: silentLogger, wallMs: () => 5, newId: () => uuid(1) },
      allocations: {
        docket: allocations.docket,
        stopNow: () => hangs.promise,
        stopAll: () => hangs.promise,
      },
      send: (report) => sent.push(report),
    })
    expect((await desk.report(host)).stopped).to.equal(false)
    expect(sent).to.have.length(1)
    hangs.resolve()
  })

  it('takes the chef’s word over a socket that is the chef’s alone', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'potluck-report-'))
    const desk = await open()
    const stop = await serveAlarms(dir, { desk, docket: allocations.docket, logger: silentLogger })
    try {
      const { suspect, rule, text } = alarm
      const request = { suspect, rule, text, sensor: 'operator' }
      expect(await raiseAlarm(dir, request).catch(errorCode)).to.equal('NODE_REFUSED')
      await run(1)
      expect(await raiseAlarm(dir, request)).to.deep.include({ slots: [slot(1)], stopped: true })
      expect((await stat(join(dir, 'report.sock'))).mode & 0o777).to.equal(0o600)
    } finally {
      await stop()
      await rm(dir, { recursive: true })
    }
    const request = { ...host, sensor: 'operator' }
    expect(await raiseAlarm(dir, request).catch(errorCode)).to.equal('NODE_NOT_THERE')
  })
})
