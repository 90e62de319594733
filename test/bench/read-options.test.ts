import { expect } from 'chai'
import { describeOption, readOptions } from './read-options.ts'

const options = {
  homes: { description: 'homes', default: 8 },
  up: { description: 'rates', default: [10] },
  vs: { description: 'rival', default: '', choices: ['aria2'] },
  cut: { description: 'cuts', default: false },
} as const

describe('options of a bench', () => {
  it('are read by their kind, and default', () => {
    expect(readOptions(options, [])).to.deep.equal({ homes: 8, up: [10], vs: '', cut: false })
    const all = ['--homes', '3', '--up', '2,10,40', '--vs', 'aria2', '--cut']
    expect(readOptions(options, all)).to.deep.equal({
      ...{ homes: 3, up: [2, 10, 40], vs: 'aria2', cut: true },
    })
  })
  it('are refused by name', () => {
    const wrong = [
      ['--homes', '0'],
      ['--homes', '1,2'],
      ['--homes', 'many'],
      ['--up', '2,,3'],
      ['--vs', 'rsync'],
      ['--other', '1'],
    ]
    for (const args of wrong) {
      expect(() => readOptions(options, args), args.join(' ')).to.throw(args[0] ?? '')
    }
  })
  it('are described with their form', () => {
    const lines = Object.entries(options).map(([name, option]) => describeOption(name, option))
    expect(lines).to.deep.equal([
      '--homes N  homes (default 8)',
      '--up N,N,…  rates (default 10)',
      '--vs WORD  rival',
      '--cut  cuts',
    ])
  })
})
