import { expect } from 'chai'
import type { ClaimAnswer } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { createMemoryStore, StoreBusyError } from '../../protocol/store/index.ts'
import { createClaimDesk, openChefs } from './index.ts'

const node = '12D3KooWGRUyUmLcYH9LPiJwjkWBNBVdQdzBq3VLUsrPBBuX4yqK' as PeerId

describe('coordinator/chefs: claim desk', () => {
  it('tells a node when its claim could not be written, and takes it the next time', async () => {
    const memory = createMemoryStore()
    let isFull = false
    const chefs = await openChefs({
      store: {
        ...memory,
        batch: async (operations) => {
          if (isFull) throw new StoreBusyError(2, 1)
          return memory.batch(operations)
        },
      },
    })
    await chefs.create('alice')
    const { code } = await chefs.makeClaim('alice', 60_000)
    let told = Promise.withResolvers<ClaimAnswer>()
    const bound: PeerId[] = []
    const desk = createClaimDesk({
      chefs,
      answer: (_node, answer) => told.resolve(answer),
      onBound: (peer) => bound.push(peer),
      logger: silentLogger,
    })
    isFull = true
    desk(node, code, 'home')
    desk(node, code, 'home') // while the first is under way: one answer
    expect((await told.promise).refusal?.code).to.equal('STORE_BUSY')
    expect([chefs.ownerOf(node), bound]).to.deep.equal([undefined, []])
    isFull = false
    await new Promise((resolve) => setImmediate(resolve))
    told = Promise.withResolvers()
    desk(node, code, 'home')
    expect(await told.promise).to.deep.equal({ type: 'claim-answer', chef: 'alice' })
    expect(bound).to.deep.equal([node])
  })
})
