import { expect } from 'chai'
import type { GroupId, PeerId } from '../../protocol/ids.ts'
import { type Epoch, slotId, type Term } from '../../protocol/ids.ts'
import type { Placement } from './records.ts'
import { standingOf } from './standing.ts'
import type { NodeView } from './views.ts'

const slot = slotId('00000000-0000-4000-8000-000000000001' as GroupId, 0)
const fence = { term: 1 as Term, epoch: 4 as Epoch }
const issuedMs = 100_000
const placement = { fence, issuedMs, acceptUntilMs: issuedMs + 15_000 } as Placement

function idle(helloMs?: number): NodeView {
  return {
    ...{ node: 'node' as PeerId, household: 'a', connected: true, departed: false, banned: false },
    ...(helloMs === undefined ? {} : { helloMs }),
    ...{ keys: 1, bundles: new Set(), held: new Map(), acknowledged: new Map() },
    refusals: new Map(),
  }
}

function standing(code: string, helloMs?: number) {
  const node: NodeView = {
    ...idle(helloMs),
    refusals: new Map([[slot, { fence, fault: { code, message: 'no' } }]]),
  }
  return standingOf(slot, placement, {
    ...{ node, nowMs: issuedMs + 5_000, leaseEndMs: issuedMs + 15_000, lostAfterMs: 0 },
    restart: 'always',
    numbers: { leaseMs: 15_000, skewMs: 2_000, guardMs: 60_000 },
  })
}

describe('coordinator/slots/standing', () => {
  it('takes an order that was lost with a killed daemon for gone, not for failed', () => {
    for (const code of ['UNSEAL_FAILED', 'CONFLICTING_ORDER', 'STALE_EPOCH']) {
      expect(standing(code, issuedMs + 3_000).is, code).to.equal('gone')
    }
  })

  it('takes a refusal of what was ordered since the hello for a failure, so that none loops', () => {
    for (const code of ['UNSEAL_FAILED', 'CONFLICTING_ORDER', 'STALE_EPOCH']) {
      expect(standing(code, issuedMs - 1).is, code).to.equal('failed')
      expect(standing(code).is, code).to.equal('failed')
    }
    expect(standing('NODE_FULL', issuedMs + 3_000).is).to.equal('failed')
  })

  const silent = (helloMs: number | undefined, nowMs: number, changes: Partial<NodeView> = {}) =>
    standingOf(slot, placement, {
      node: { ...idle(helloMs), ...changes },
      ...{ nowMs, leaseEndMs: issuedMs + 15_000, lostAfterMs: 0, restart: 'never' },
      numbers: { leaseMs: 15_000, skewMs: 2_000, guardMs: 60_000 },
    })

  it('takes an order that a present node left untaken for a failure: another is tried', () => {
    expect(silent(issuedMs - 1, issuedMs + 15_000).is).to.equal('unsent')
    expect(silent(issuedMs - 1, issuedMs + 17_000).is).to.equal('held')
    const late = silent(issuedMs - 1, issuedMs + 17_001)
    expect(late.is === 'failed' && late.fault.code).to.equal('ORDER_NOT_TAKEN')
  })

  it('blames no node for an order that a restart, its own or ours, came between', () => {
    expect(silent(issuedMs, issuedMs + 17_001).is).to.equal('gone')
    expect(silent(issuedMs + 5_000, issuedMs + 17_001).is).to.equal('gone')
  })

  it('takes what was stopped because its node leaves for gone, neither failed nor finished', () => {
    const fault = { code: 'NODE_STOPPING', message: 'the chef is back' }
    const report = { state: 'stopped', exitCode: 143, fault } as never
    const held = new Map([[slot, { fence, report }]])
    expect(silent(0, issuedMs + 5_000, { held }).is).to.equal('gone')
  })

  it('lets a strict one that stopped at its lapse start again where it was', () => {
    const fault = { code: 'LEASE_LAPSED', message: 'not renewed' }
    const held = new Map([[slot, { fence, report: { state: 'stopped', fault } as never }]])
    const judged = (strict: boolean) =>
      standingOf(slot, placement, {
        node: { ...idle(0), held },
        ...{ nowMs: issuedMs + 90_000, leaseEndMs: issuedMs + 15_000, lostAfterMs: 0 },
        ...{ restart: 'always', strict },
        numbers: { leaseMs: 15_000, skewMs: 2_000, guardMs: 60_000 },
      }).is
    expect(judged(true)).to.equal('paused')
    expect(judged(false)).to.equal('gone')
  })
})
