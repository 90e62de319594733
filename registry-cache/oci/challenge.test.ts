import { expect } from 'chai'
import fc from 'fast-check'
import { parseChallenge } from './challenge.ts'

describe('challenges', () => {
  it('reads realm, service and scope, quoted or not, in any order', () => {
    const header =
      'Bearer service=hub , scope="repository:a/b:pull,push",realm="https://a.example/t?x=\\"1\\""'
    expect(parseChallenge(header)).to.deep.equal({
      scheme: 'bearer',
      realm: 'https://a.example/t?x="1"',
      service: 'hub',
      scope: 'repository:a/b:pull,push',
    })
  })

  it('prefers a token where both are offered, in one header or two', () => {
    const bearer = 'bearer realm="https://a.example/"'
    for (const header of [`Basic realm="x", ${bearer}`, ['Basic realm="x"', bearer]]) {
      expect(parseChallenge(header)?.scheme).to.equal('bearer')
    }
    expect(parseChallenge('BASIC realm="Bearer realm=x"')).to.deep.equal({ scheme: 'basic' })
    expect(parseChallenge('Basic')).to.deep.equal({ scheme: 'basic' })
  })

  it('answers nothing to nothing', () => {
    for (const header of [undefined, '', 'Negotiate abc', 'Bearer', 'Bearer service="x"', '=,="']) {
      expect(parseChallenge(header)).to.equal(undefined)
    }
  })

  it('takes any text, in linear time', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseChallenge(`Bearer ${text}`)))
    expect(parseChallenge(`Bearer realm="${'\\'.repeat(1_000_000)}`)).to.equal(undefined)
  })
})
