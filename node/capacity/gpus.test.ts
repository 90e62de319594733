import { expect } from 'chai'
import fc from 'fast-check'
import { parseGpus } from './gpus.ts'

const h100 = 'GPU-00000000-1111-2222-3333-444444444444, NVIDIA H100 80GB HBM3, 81559, 580.159.04'

describe('gpus', () => {
  it('reads what a real H100 prints', () => {
    expect(parseGpus(`${h100}\n`)).to.deep.equal({
      gpus: [
        {
          uuid: 'GPU-00000000-1111-2222-3333-444444444444',
          name: 'NVIDIA H100 80GB HBM3',
          vramBytes: 81_559 * 1024 * 1024,
          driver: '580.159.04',
        },
      ],
      unread: [],
    })
  })

  it('leaves out lines that are no GPU', () => {
    const odd = ['No devices were found', 'GPU-x, y, 1, 2', `${h100.slice(0, 30)}, [N/A], [N/A]`]
    expect(parseGpus([h100, ...odd].join('\n'))).to.deep.include({ unread: odd })
  })

  it('never throws on noise', () => {
    fc.assert(fc.property(fc.string(), (csv) => void parseGpus(csv)))
  })
})
