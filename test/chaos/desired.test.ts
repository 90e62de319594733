import { expect } from 'chai'
import { amissInApi, amissOnNodes, type Held } from './desired.ts'
import type { InstanceSight, Look } from './tenant.ts'

const potluck = { term: 1, bytes_total: 0, bytes_done: 0 }
const instance = (slot: number, epoch: number, node: string, state = 'running'): InstanceSight => ({
  ...{ id: `${slot}-${epoch}`, state },
  potluck: { ...potluck, slot, epoch, node },
})
const there = (replicas: number, ...instances: InstanceSight[]): Look => ({
  is: 'there',
  group: {
    ...{ id: 'g', replicas, current_state: { status: 'running', description: null } },
    potluck: { image: { state: 'ready', bytes_done: 1, bytes_total: 1 } },
  },
  instances,
})
const held = (slot: number, epoch: number, node: string): Held => ({
  ...{ node, slot: `g/${slot}`, epoch, state: 'running' },
})
const two = { name: 'g', replicas: 2, state: 'running' } as const

describe('test/chaos/desired', () => {
  it('is content with exactly what is desired, and with nothing else', () => {
    const [a, b] = [instance(0, 1, 'a'), instance(1, 1, 'b')]
    expect(amissInApi(two, there(2, a, b))).to.equal(undefined)
    expect(amissInApi(two, there(2, a))).to.be.a('string')
    expect(amissInApi(two, there(2, a, b, instance(1, 0, 'c', 'stopping')))).to.be.a('string')
    expect(amissInApi(two, there(2, a, instance(1, 1, 'a')))).to.be.a('string')
    expect(amissInApi(two, there(2, a, instance(2, 1, 'b')))).to.be.a('string')
    expect(amissInApi(two, there(3, a, b))).to.be.a('string')
    expect(amissInApi({ ...two, state: 'deleted' }, { is: 'gone' })).to.equal(undefined)
    expect(amissInApi({ ...two, state: 'deleted' }, { is: 'down' })).to.be.a('string')
    expect(amissInApi({ ...two, state: 'stopped' }, there(2))).to.be.a('string')
  })

  it('sees a container too many on a node, and one that is missing', () => {
    const look = there(1, instance(0, 2, 'a'))
    expect(amissOnNodes(look, [held(0, 2, 'a')])).to.equal(undefined)
    expect(amissOnNodes(look, [])).to.contain('missing: [0@2 a]')
    expect(amissOnNodes(look, [held(0, 2, 'a'), held(0, 1, 'b')])).to.contain('too many: [0@1 b]')
    expect(amissOnNodes({ is: 'gone' }, [held(0, 1, 'b')])).to.contain('too many: [0@1 b]')
  })
})
