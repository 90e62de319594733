import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import type { Misbehaviour } from '../../protocol/control/index.ts'
import { identityFromSeed } from '../../protocol/identity/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { banBench } from '../bans/ban-book.fixture.ts'
import type { BanBook } from '../bans/index.ts'
import type { NodeView, SlotRecord } from '../slots/index.ts'
import { openReputation, type Reputation } from './index.ts'

const hourMs = 3_600_000
const peers = await Promise.all(
  Array.from({ length: 13 }, async (_, n) => {
    return (await identityFromSeed(new Uint8Array(32).fill(n + 1))).peer
  }),
)
const [liar] = peers as [PeerId]

describe('reputation', () => {
  let bench: Awaited<ReturnType<typeof banBench>>
  let bans: BanBook
  let nowMs: number
  const nodes = new Map<PeerId, NodeView>()
  const slots: SlotRecord[] = []
  const open = () =>
    openReputation(
      { probationMs: hourMs },
      {
        ...{ store: bench.store, bans, clock: bench.clock, nowMs: () => nowMs },
        ...{ nodes: () => nodes, leaving: () => slots, classOf: () => undefined },
        ...{ logger: silentLogger, audit: async (entry) => void bench.audited.push(entry) },
      },
    )
  const serve = (reputation: Reputation, ms: number): void => {
    for (let done = 0; done < ms; done += 50_000) {
      nowMs += 50_000
      reputation.look()
    }
  }
  const say = (reputation: Reputation, by: number, of: PeerId): void => {
    const evidence: Misbehaviour = { peer: of, kind: 'wrong-chunk', chunk: 7, gotName: 'ab' }
    const accuser = peers[by] as PeerId
    reputation.accuse({ peer: accuser, household: `home${by}`, isTrusted: false }, evidence)
  }
  beforeEach(async () => {
    bench = await banBench()
    bans = await bench.open()
    nowMs = 1_000
    slots.length = 0
    nodes.clear()
    for (const [n, node] of peers.entries()) {
      const view = { node, household: `home${n}`, connected: true, banned: false, held: new Map() }
      nodes.set(node, view as unknown as NodeView)
    }
  })
  afterEach(() => bench.close())

  it('keeps new nodes on probation for hours of service, also over a restart, and audits it', async () => {
    const first = await open()
    first.look()
    expect(first.standing(liar)).to.deep.equal({ probation: true, rests: false })
    serve(first, hourMs / 2)
    await first.stop()
    const second = await open()
    serve(second, hourMs / 2 - 100_000)
    expect(second.standing(liar).probation).to.equal(true)
    serve(second, 100_000)
    expect(second.standing(liar).probation).to.equal(false)
    const acts = bench.audited.filter(({ subject }) => subject === liar).map(({ act }) => act)
    expect(acts).to.deep.equal(['probation-began', 'probation-ended'])
  })

  it('bans on the word of enough households of standing, with their words as evidence', async () => {
    const reputation = await open()
    reputation.look()
    for (let by = 1; by < 13; by++) say(reputation, by, liar)
    expect(bans.isBanned(liar)).to.equal(false)
    serve(reputation, 2 * hourMs)
    say(reputation, 1, liar)
    await turn()
    await turn()
    expect(bans.get(liar)).to.include({ source: 'accusation', reason: 'bad-chunks' })
    expect(bans.get(liar)?.expiresMs).to.not.equal(undefined)
    expect(bans.get(liar)?.evidence).to.have.length(13)
    expect(bans.get(liar)?.evidence[0]?.text).to.contain('wrong-chunk chunk 7')
  })

  it('makes a suspect of whom some accuse: no sensitive groups, for an operator to see', async () => {
    const reputation = await open()
    serve(reputation, 2 * hourMs)
    for (let by = 1; by < 4; by++) say(reputation, by, liar)
    await turn()
    expect(bans.isBanned(liar)).to.equal(false)
    expect(reputation.standing(liar)).to.deep.equal({ probation: true, rests: false })
    expect(reputation.suspects()).to.have.length(1)
    expect(reputation.suspects()[0]).to.include({ peer: liar, accusers: 3, needed: 5 })
  })

  it('counts wrong refusals and lapses once each, and none of what an honest node says', async () => {
    const reputation = await open()
    serve(reputation, 2 * hourMs)
    for (let n = 0; n < 20; n++) {
      reputation.refused(liar, { code: 'NODE_STOPPING', message: 'the chef is back' })
    }
    expect(reputation.standing(liar)).to.deep.equal({ probation: false, rests: false })
    for (let n = 0; n < 5; n++) reputation.refused(liar, { code: 'WRONG_AUDIENCE', message: '' })
    expect(reputation.standing(liar).rests).to.equal(true)
    const other = peers[1] as PeerId
    const leaving = [0, 1, 2].map((epoch) => ({
      ...{ node: other, fence: { term: 1, epoch }, why: 'lapsed', sinceMs: nowMs },
    }))
    slots.push({ slot: '00000000-0000-4000-8000-000000000001/0', leaving } as never)
    for (let n = 0; n < 10; n++) reputation.look()
    expect(reputation.standing(other).rests).to.equal(false)
    expect(bans.list()).to.deep.equal([])
  })
})
