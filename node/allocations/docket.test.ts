import { expect } from 'chai'
import type { BundleId, PeerId } from '../../protocol/ids.ts'
import { Docket } from './docket.ts'

const bundle = 'bundle' as BundleId
const hint = (peer: string) => ({ peer: peer as PeerId, addrs: [`/ip4/198.51.100.1/tcp/${peer}`] })

describe('the docket', () => {
  it('remembers who else fetches a bundle, by the newest word', () => {
    const docket = new Docket()
    docket.learnHolders(bundle, [hint('1')])
    docket.learnHolders(bundle, [hint('1'), hint('2')])
    expect(docket.hintsFor(bundle)).to.deep.equal([hint('1'), hint('2')])
    expect(docket.hintsFor('other' as BundleId)).to.deep.equal([])
  })
})
