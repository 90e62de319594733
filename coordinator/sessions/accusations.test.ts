import { expect } from 'chai'
import type { Misbehaviour } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { type Logger, silentLogger } from '../../protocol/log/index.ts'
import {
  createTestNetwork,
  eventually,
  startCoordinator,
  type TestCoordinator,
  type TestNetwork,
} from '../testing/coordinator.ts'
import { FakeNode } from '../testing/fake-node.ts'
import { createAccusations } from './accusations.ts'

const [liar, a, b] = ['liar', 'a', 'b'] as [PeerId, PeerId, PeerId]

describe('coordinator/accusations', () => {
  let logged: Record<string, unknown>[]
  const logger: Logger = {
    ...silentLogger,
    child: () => logger,
    warn: (fields, message) => {
      if (message === 'a peer is accused of misbehaviour') {
        logged.push(fields as Record<string, unknown>)
      }
    },
  }
  beforeEach(() => {
    logged = []
  })

  const wrong: Misbehaviour = {
    ...{ peer: liar, kind: 'wrong-chunk', chunk: 7 },
    ...{ expectedName: 'a'.repeat(64), gotName: 'b'.repeat(64) },
  }

  it('are told with the evidence, seldom, and with how many say so', () => {
    const accuse = createAccusations({ logger })
    for (let time = 0; time < 100; time++) accuse(time < 50 ? a : b, wrong)
    accuse(a, { peer: liar, kind: 'flood', detail: 'asks' })
    expect(logged.map(({ count, accusers }) => [count, accusers])).to.deep.equal([
      ...[1, 2, 4, 8, 16, 32].map((count) => [count, 1]),
      [64, 2],
      [1, 1],
    ])
    expect(logged[0]).to.include({ by: a, ...wrong })
    expect(logged.at(-1)).to.include({ kind: 'flood', detail: 'asks' })
  })

  describe('of a node', () => {
    let net: TestNetwork
    let coordinator: TestCoordinator
    let node: FakeNode

    before(async () => {
      net = await createTestNetwork()
      coordinator = await startCoordinator(net, { logger })
      node = new FakeNode({ network: net.network, addresses: coordinator.addresses })
      await node.start()
      await eventually('the node is up', () => node.link?.isUp)
    })
    after(async () => {
      await node.crash()
      await coordinator.stop()
      await net.remove()
    })

    it('come with its beat', async () => {
      node.accusations.push({ ...wrong, peer: node.peer })
      node.link?.beatNow()
      await eventually('it is written down', () => logged.length > 0)
      expect(logged[0]).to.include({ ...wrong, by: node.peer, peer: node.peer })
    })
  })
})
