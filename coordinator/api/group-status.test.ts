/** The contract's states of a group, one by one. */
import { expect } from 'chai'
import type { GroupRecord, ImageView } from '../groups/index.ts'
import { fakeInstance } from './api.fixture.ts'
import { countsOf, describeStatus, type Observed, statusOf } from './group-status.ts'

const group = { desired: 'running', replicas: 3, version: 2 } as GroupRecord
const stopped = { ...group, desired: 'stopped' } as GroupRecord
const image = (state: ImageView['state'], changes: Partial<ImageView> = {}): ImageView => ({
  state,
  bytesDone: 0,
  bytesTotal: 0,
  ...changes,
})
const observe = (changes: Partial<Observed> = {}): Observed => ({
  instances: [],
  image: undefined,
  placementProblem: undefined,
  ...changes,
})
const running = [fakeInstance(0), fakeInstance(1, { state: 'creating' })]
const fault = { code: 'REGISTRY_UNAUTHORIZED', message: 'the registry refused the credentials' }

describe('coordinator/api: group status', () => {
  const cases: readonly [string, string, GroupRecord, Observed][] = [
    ['pending', 'before anyone looked', group, observe()],
    ['pending', 'while the image is prepared', group, observe({ image: image('preparing') })],
    ['failed', 'when preparation failed', group, observe({ image: image('failed') })],
    [
      'deploying',
      'until one runs',
      group,
      observe({ image: image('ready'), instances: [running[1]!] }),
    ],
    ['running', 'when one runs', group, observe({ image: image('ready'), instances: running })],
    [
      'running',
      'with an old version, while a new image fails',
      group,
      observe({ image: image('failed'), instances: running }),
    ],
    [
      'running',
      'with nothing wanted',
      { ...group, replicas: 0 },
      observe({ image: image('ready') }),
    ],
    [
      'stopped',
      'when it is to stop, though instances still do',
      stopped,
      observe({ instances: running }),
    ],
  ]
  for (const [status, when, record, observed] of cases) {
    it(`${status} ${when}`, () => expect(statusOf(record, observed)).to.equal(status))
  }

  it('counts slots without an instance as allocating, and a slot that moves once', () => {
    const instances = [
      fakeInstance(0),
      fakeInstance(1, { state: 'stopping' }),
      fakeInstance(1, { state: 'downloading' }),
    ]
    expect(countsOf(group, observe({ instances }))).to.deep.equal({
      allocating: 1,
      creating: 1,
      running: 1,
      stopping: 1,
    })
    expect(countsOf(stopped, observe()).allocating).to.equal(0)
  })

  it('says why it waits', () => {
    const says = (record: GroupRecord, changes: Partial<Observed>) =>
      describeStatus(record, observe(changes))
    expect(says(group, {})).to.contain('looking it up')
    const half = image('preparing', { bytesDone: 50, bytesTotal: 100 })
    expect(says(group, { image: half })).to.contain('50%')
    expect(says(group, { image: image('failed', { fault }) })).to.contain(fault.message)
    const placementProblem = 'no node has a GPU of the wanted class'
    expect(says(group, { image: image('ready'), placementProblem })).to.equal(placementProblem)
    expect(says(stopped, { instances: running })).to.contain('Stopping 2')
    expect(says(stopped, {})).to.equal(null)
  })
})
