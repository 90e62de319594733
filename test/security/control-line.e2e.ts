/**
 * A false coordinator at the address that a node was given, and a man in the middle of the way to
 * the true one: whoever owns the line may cut it, and is told nothing.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { expect } from 'chai'
import {
  type FakeCoordinator,
  startFakeCoordinator,
} from '../../protocol/peer/fake-coordinator.fixture.ts'
import type { Member } from '../chaos/member.ts'
import { until } from './api.ts'
import { type KeptGroup, startKeptGroup } from './kept-group.ts'
import { startMiddle } from './middle.ts'

describe('at the address that a node was given', function () {
  this.timeout(120_000)
  let kept: KeptGroup
  let fake: FakeCoordinator
  before(async () => {
    kept = await startKeptGroup()
    fake = await startFakeCoordinator()
  })
  after(async () => {
    await fake?.stop()
    await kept?.stop()
  })

  const pointAt = async (addresses: readonly string[]): Promise<void> => {
    const { target, idler } = kept
    const file = JSON.parse(await readFile(`${target.run.path}/network.json`, 'utf8'))
    const network = `${target.run.path}/elsewhere.json`
    await writeFile(network, JSON.stringify({ ...file, coordinatorAddrs: addresses }))
    await idler.stop(10_000)
    const settings = `${target.run.path}/${idler.name}.toml`
    const toml = await readFile(settings, 'utf8')
    // Nobody dials it: others know the true one, and might bring the two together on another way.
    const changed = toml
      .replace(/^network = .*$/m, `network = ${JSON.stringify(network)}`)
      .replace(/^listen = .*$/m, 'listen = []')
    expect(changed).to.match(/^listen = \[\]$/m)
    await writeFile(settings, changed)
    idler.start()
  }

  it('a false coordinator with a key of its own hears nothing', async () => {
    const { idler } = kept
    await pointAt(fake.network.coordinatorAddrs)
    let knocks = 0
    fake.mesh.addEventListener('connection:open', () => {
      knocks += 1
    })
    await until('it was tried, in vain', async () => {
      const tried = (await idler.log()).filter(({ msg }) => msg === 'link could not be made')
      return tried.length > 2
    })
    expect(fake.said).to.deep.equal([])
    expect(knocks).to.equal(0)
    expect(await connectionsOf(idler)).to.equal(0)
  })

  it('a man in the middle can cut, and change nothing', async () => {
    const { idler, network } = kept
    const port = Number(/tcp\/(\d+)/.exec(network.coordinatorAddrs[0] ?? '')?.[1])
    const middle = await startMiddle(port)
    try {
      await pointAt([`/ip4/127.0.0.1/tcp/${middle.port}`])
      await idler.ready(AbortSignal.timeout(30_000))
      for (const side of ['up', 'down'] as const) {
        const [cuts, before] = [middle.cuts(), await connectionsOf(idler)]
        middle.change = side
        await until(`a stream with changed bytes is cut (${side})`, () => middle.cuts() > cuts)
        middle.change = undefined
        await until('it is back', async () => (await connectionsOf(idler)) > before)
      }
    } finally {
      await middle.stop()
    }
    await kept.untouched()
  })
})

/** How often it has come to the coordinator since its last start. */
async function connectionsOf(member: Member): Promise<number> {
  const lines = await member.log()
  return lines.filter(({ msg }) => msg === 'connected to the coordinator').length
}
