import { expect } from 'chai'
import { barText, bytesText, percentText, shorten, tableLines } from './text.ts'

describe('scripts/demo text', () => {
  it('writes sizes with the unit that suits them', () => {
    expect([402, 1_500, 117_218_706].map(bytesText)).to.deep.equal(['402 B', '1.5 kB', '117.2 MB'])
  })

  it('never says 100% before it is done', () => {
    expect(percentText(999, 1_000)).to.equal(' 99%')
    expect(percentText(1_000, 1_000)).to.equal('100%')
    expect(percentText(5, 0)).to.equal('  0%')
  })

  it('draws bars of one width', () => {
    for (const done of [0, 1, 50, 100, 150]) expect(barText(done, 100)).to.have.length(28)
    expect(barText(100, 100)).not.to.contain('░')
    expect(barText(0, 0)).not.to.contain('█')
  })

  it('aligns words left and numbers right', () => {
    expect(
      tableLines([
        ['node', 'size'],
        ['a', '1.0 MB'],
        ['abcdef', '12.0 MB'],
      ]),
    ).to.deep.equal(['node       size', 'a        1.0 MB', 'abcdef  12.0 MB'])
  })

  it('shortens what is too long', () => {
    expect(shorten('abcdef', 4)).to.equal('abc…')
    expect(shorten('abcd', 4)).to.equal('abcd')
  })
})
