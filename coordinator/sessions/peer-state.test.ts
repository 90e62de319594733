import { expect } from 'chai'
import type { Hello, InstanceReport } from '../../protocol/control/index.ts'
import type { Fence, GroupId, PeerId, SlotId } from '../../protocol/ids.ts'
import { type Epoch, slotId, type Term } from '../../protocol/ids.ts'
import { hasLeft } from '../slots/index.ts'
import { PeerState } from './index.ts'

const slot = (number: number): SlotId =>
  slotId('00000000-0000-4000-8000-000000000001' as GroupId, number)
const fence: Fence = { term: 1 as Term, epoch: 1 as Epoch }
const reportOf = (number: number) =>
  ({ slot: slot(number), ...fence, state: 'running' }) as InstanceReport
const fault = { code: 'NO_SPACE', message: 'no' }

describe('coordinator/sessions/peer-state', () => {
  let state: PeerState
  beforeEach(() => {
    state = new PeerState('node' as PeerId, 'node', () => false)
  })

  it('remembers a bounded number of slots, whatever a peer names, and what it holds always', () => {
    for (let beat = 0; beat < 200; beat++) {
      const strange = Array.from({ length: 63 }, (_, index) => reportOf(1 + beat * 63 + index))
      state.takeBeat([reportOf(0), ...strange])
      for (const { slot: named } of strange) state.takeRefusal(named, fence, fault)
    }
    expect(state.acknowledged.size).to.equal(1_024)
    expect(state.refusals.size).to.equal(1_024)
    expect(state.acknowledged.get(slot(0))).to.deep.equal(fence)
    expect(state.refusals.has(slot(200 * 63))).to.equal(true)
  })

  it('holds no more between beats than a beat can list', () => {
    for (let number = 0; number < 64; number++) state.takeReport(reportOf(number))
    expect(state.takeReport(reportOf(64))).to.equal(false)
    expect(state.held.size).to.equal(64)
    expect(state.acknowledged.has(slot(64))).to.equal(false)
    const changed = { ...reportOf(3), state: 'failed' } as InstanceReport
    expect(state.takeReport(changed)).to.equal(true)
  })

  it('lets a goodbye give up its slots, a further one more, and one without slots all', () => {
    state.takeGoodbye([slot(1)])
    expect([hasLeft(state, slot(1)), hasLeft(state, slot(2))]).to.deep.equal([true, false])
    state.takeGoodbye([slot(2)])
    expect([1, 2, 3].map((number) => hasLeft(state, slot(number)))).to.deep.equal([
      ...[true, true, false],
    ])
    state.takeGoodbye()
    expect(hasLeft(state, slot(3))).to.equal(true)
    state.takeGoodbye([slot(1)])
    expect(hasLeft(state, slot(3))).to.equal(true)
    state.takeHello({ addrs: [], bundles: [], held: [] } as never as Hello, () => undefined)
    expect(hasLeft(state, slot(1))).to.equal(false)
    expect(state.departed).to.equal(false)
  })

  it('takes a refusal of a node that stops for a goodbye of that slot', () => {
    state.connected = true
    state.takeRefusal(slot(1), fence, fault)
    expect(state.isHere).to.equal(true)
    state.takeRefusal(slot(1), fence, { code: 'NODE_STOPPING', message: 'the chef is back' })
    expect([state.isHere, state.departed]).to.deep.equal([false, true])
    expect([hasLeft(state, slot(1)), hasLeft(state, slot(2))]).to.deep.equal([true, false])
  })
})
