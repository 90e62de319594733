import { expect } from 'chai'
import fc from 'fast-check'
import type { PeerId } from '../../protocol/ids.ts'
import { type BrakeState, brake, calm, isSilent, type Watched } from './brake.ts'

const leaseMs = 15_000
const startMs = 1_000_000

/** `count` nodes, `perHousehold` to a household, last heard at `heardMs`. */
function nodesOf(count: number, perHousehold = 1, heardMs = startMs): Watched[] {
  return Array.from({ length: count }, (_, index) => ({
    node: `node-${index}` as PeerId,
    household: `10.0.0.${Math.floor(index / perHousehold)}`,
    heardMs,
  }))
}

/** The first `silent` were heard last at `startMs`; the others now. */
function world(nodes: readonly Watched[], silent: number, nowMs: number, isSound = false) {
  const seen = nodes.map((node, index) => (index < silent ? node : { ...node, heardMs: nowMs }))
  return { nowMs, nodes: seen, isSound, leaseMs }
}

describe('the brake', () => {
  const laterMs = startMs + 12_000

  it('is put on by more than 30% of nodes, ten at least, of five households at least', () => {
    const isOn = (all: number, silent: number, perHousehold = 1): boolean =>
      brake(calm, world(nodesOf(all, perHousehold), silent, laterMs)).hold !== undefined
    expect(isOn(100, 31)).to.equal(true)
    expect(isOn(100, 30)).to.equal(false)
    expect(isOn(10, 10)).to.equal(true)
    expect(isOn(10, 9)).to.equal(false)
    expect(isOn(9, 9)).to.equal(false)
    expect(isOn(40, 15, 3)).to.equal(true)
    expect(isOn(40, 15, 4)).to.equal(false)
  })

  it('is on before the first lease of those that were cut at one moment is over', () => {
    // Beats are spread over five seconds; leases end 17 s after the last of each.
    const nodes = nodesOf(100).map((node, index) => ({
      ...node,
      heardMs: startMs - (index % 50) * 100,
    }))
    const cutMs = startMs
    const firstLapseMs = startMs - 5_000 + 17_000
    let state: BrakeState = calm
    for (let nowMs = cutMs; nowMs < firstLapseMs && !state.hold; nowMs += 1_000) {
      state = brake(state, world(nodes, 40, nowMs))
    }
    expect(state.hold?.fallen.length).to.be.above(30)
  })

  it('stays off for a slow trickle', () => {
    let state: BrakeState = calm
    for (let minute = 0; minute < 60; minute++) {
      const nowMs = startMs + minute * 60_000
      const nodes = nodesOf(60).map((node, index) => ({
        ...node,
        heardMs: index < minute ? startMs + index * 60_000 : nowMs,
      }))
      state = brake(state, { nowMs, nodes, isSound: false, leaseMs })
      expect(state.hold, `minute ${minute}`).to.equal(undefined)
    }
  })

  it('lets go when they return, and not while a third of them is missing', () => {
    const nodes = nodesOf(100)
    const on = brake(calm, world(nodes, 50, laterMs))
    const partly = brake(on, world(nodes, 17, laterMs + 5_000))
    expect(partly.hold?.fallen).to.have.length(50)
    const off = brake(partly, world(nodes, 5, laterMs + 10_000))
    expect(off.hold).to.equal(undefined)
    // The five that did not come back put it on no more.
    expect(brake(off, world(nodes, 5, laterMs + 60_000)).hold).to.equal(undefined)
  })

  it('lets go after two minutes in which its own checks pass, and a failed one counts anew', () => {
    const nodes = nodesOf(100)
    let state = brake(calm, world(nodes, 50, laterMs))
    const look = (atS: number, isSound: boolean): boolean => {
      state = brake(state, world(nodes, 50, laterMs + atS * 1_000, isSound))
      return state.hold !== undefined
    }
    expect(look(1_000, false)).to.equal(true)
    expect(look(1_001, true)).to.equal(true)
    expect(look(1_100, true)).to.equal(true)
    expect(look(1_110, false)).to.equal(true)
    expect(look(1_111, true)).to.equal(true)
    expect(look(1_230, true)).to.equal(true)
    expect(look(1_231, true)).to.equal(false)
    // Judged: the same silence is theirs, not ours.
    expect(look(1_240, true)).to.equal(false)
  })

  it('goes on again for others that fall silent after it let go', () => {
    const nodes = nodesOf(100)
    const on = brake(calm, world(nodes, 40, laterMs))
    const off = brake(on, world(nodes, 0, laterMs + 10_000))
    expect(off.hold).to.equal(undefined)
    const again = nodesOf(100, 1, laterMs + 20_000)
    expect(brake(off, world(again, 40, laterMs + 32_000)).hold).to.not.equal(undefined)
  })

  it('does not flap: whoever blinks, a hold ends only by return or by sound checks', () => {
    const step = fc.record({ silent: fc.nat(100), afterMs: fc.integer({ min: 500, max: 20_000 }) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let state: BrakeState = calm
        let nowMs = startMs
        const heard = nodesOf(100).map((node) => ({ ...node }))
        for (const { silent, afterMs } of steps) {
          nowMs += afterMs
          const nodes = heard.map((node, index) => {
            if (index >= silent) node.heardMs = nowMs
            return { ...node }
          })
          const before = state
          state = brake(before, { nowMs, nodes, isSound: false, leaseMs })
          if (!before.hold || state.hold) continue
          const asleep = before.hold.fallen.filter(({ node }) => {
            const now = nodes.find((one) => one.node === node)
            return now === undefined || isSilent(now, nowMs, leaseMs)
          })
          expect(asleep.length).to.be.at.most(before.hold.fallen.length * 0.1 + 1e-9)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('goes on holding over a restart, for nodes that nobody has seen since', () => {
    const on = brake(calm, world(nodesOf(50), 50, laterMs))
    const { hold } = on
    const restarted: BrakeState = { judgedUntilMs: 0, hold }
    const empty = { nowMs: laterMs + 90_000, nodes: [], isSound: false, leaseMs }
    expect(brake(restarted, empty).hold?.fallen).to.have.length(50)
    const back = world(nodesOf(50), 4, laterMs + 95_000)
    expect(brake(restarted, back).hold).to.equal(undefined)
  })
})
