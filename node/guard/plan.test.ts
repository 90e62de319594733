import { expect } from 'chai'
import type { InstanceId, PeerId } from '../../protocol/ids.ts'
import { containersToStop, type GuardFile, guardFileCodec } from './plan.ts'

const a = '00000000-0000-4000-8000-00000000000a' as InstanceId
const b = '00000000-0000-4000-8000-00000000000b' as InstanceId
const file: GuardFile = {
  v: 1,
  bootId: 'boot-1',
  node: '12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8' as PeerId,
  socketPath: '/run/x.sock',
  entries: [
    { instance: a, stopAtMs: 1_000 },
    { instance: b, stopAtMs: 5_000 },
  ],
}
const running = [
  { id: 'c1', instance: a },
  { id: 'c2', instance: b },
  { id: 'c3', instance: 'stranger' },
]
const ids = (stopped: readonly { id: string }[]) => stopped.map(({ id }) => id)

describe('guard plan', () => {
  it('stops what is past its time and what the file does not know', () => {
    const stopped = containersToStop(file, running, { nowMs: 1_000, bootId: 'boot-1' })
    expect(ids(stopped)).to.deep.equal(['c1', 'c3'])
  })

  it('leaves alone what the daemon still allows', () => {
    const stopped = containersToStop(file, running.slice(0, 2), { nowMs: 999, bootId: 'boot-1' })
    expect(stopped).to.deep.equal([])
  })

  it('accounts for nothing after a reboot or without a file', () => {
    const after = containersToStop(file, running, { nowMs: 1, bootId: 'boot-2' })
    expect(ids(after)).to.deep.equal(['c1', 'c2', 'c3'])
    expect(containersToStop(undefined, running, { nowMs: 1, bootId: 'boot-1' })).to.have.length(3)
  })

  it('reads back what the daemon wrote', () => {
    expect(guardFileCodec.decode(guardFileCodec.encode(file))).to.deep.equal(file)
  })
})
