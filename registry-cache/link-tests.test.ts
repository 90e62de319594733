import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import type { UpMessage } from '../protocol/control/index.ts'
import { LinkTestRefusedError, measureLink } from '../protocol/link-test/index.ts'
import { silentLogger } from '../protocol/log/index.ts'
import type { Mesh } from '../protocol/mesh/index.ts'
import { peerIdOf } from '../protocol/mesh/index.ts'
import { addressOf, createMeshStreet } from '../protocol/mesh/mesh.fixture.ts'
import { transferClock } from '../protocol/swarm/index.ts'
import { createLinkDesk, type LinkDesk } from './link-tests.ts'

describe('registry-cache: link tests', () => {
  const street = createMeshStreet()
  const secret = new Uint8Array(randomBytes(32))
  const told: UpMessage[] = []
  let uploadedBytes = 0
  let cache: Mesh
  let desk: LinkDesk

  before(async () => {
    cache = await street.host()
    desk = createLinkDesk({
      peer: { mesh: cache, memberSecret: () => secret },
      swarm: { stats: () => ({ uploadedBytes }) },
      ...{ clock: transferClock, logger: silentLogger },
      onMeasured: (message) => told.push(message),
    })
    await desk.start()
  })
  after(async () => {
    await desk.stop()
    await street.stop()
  })
  const ask = async (by: Mesh) =>
    await measureLink(
      addressOf(cache),
      { mesh: by, clock: transferClock, secret },
      { signal: AbortSignal.timeout(10_000) },
    )

  it('tells what it measured at once, and all of it again on a new stream', async () => {
    const nodes = [await street.host(), await street.host()]
    for (const node of nodes) await ask(node)
    expect(told).to.have.length(2)
    const [again, ...more] = desk.messages()
    expect(more).to.deep.equal([])
    const results = again?.type === 'link-tests' ? again.results : []
    const peers = nodes.map((node) => peerIdOf(node.peerId))
    expect(results.map(({ peer }) => peer)).to.have.members(peers)
    for (const { link } of results) expect(link.upBitsPerS).to.be.above(1e6)
  })

  it('tests nobody while it serves', async () => {
    const node = await street.host()
    uploadedBytes += 100_000_000
    const refused = await ask(node).catch((error: unknown) => error)
    expect(refused).to.be.instanceOf(LinkTestRefusedError)
    expect((refused as LinkTestRefusedError).refusal).to.equal('BUSY')
    await ask(node)
  })
})
