import { expect } from 'chai'
import fc from 'fast-check'
import { maxDescriptorBytes } from '../bundle/index.ts'
import { PotluckError } from '../errors.ts'
import type { BundleId } from '../ids.ts'
import { answerCodec, askCodec, chunksMax, decodeRuns, encodeRuns, haveRunsMax } from './wire.ts'

const bundle = 'ab'.repeat(32) as BundleId

describe('swarm/wire', () => {
  it('codes chunk numbers as runs, and back', () => {
    const numbers = fc.array(fc.integer({ min: 0, max: 5_000 }), { maxLength: 3_000 })
    fc.assert(
      fc.property(numbers, (list) => {
        const messages = encodeRuns(list)
        const back = messages.flatMap((runs) => {
          expect(runs.length).to.be.at.most(2 * haveRunsMax)
          const decoded = decodeRuns(runs, chunksMax) ?? []
          return decoded.flatMap(({ start, count }) =>
            Array.from({ length: count }, (_, at) => start + at),
          )
        })
        expect(back).to.deep.equal([...new Set(list)].sort((a, b) => a - b))
      }),
      { numRuns: 50 },
    )
  })

  it('refuses runs that leave the bundle, or of no length', () => {
    expect(decodeRuns([0, 11], 10)).to.equal(undefined)
    expect(decodeRuns([9, 1, 0, 1], 10)).to.equal(undefined)
    expect(decodeRuns([0, 0], 10)).to.equal(undefined)
    expect(decodeRuns([0, 10], 10)).to.deep.equal([{ start: 0, count: 10 }])
  })

  it('keeps a chunk header short and its body whole', () => {
    const head = answerCodec.encode({ t: 'chunk', id: 4_000_000, number: 130_000 })
    expect(head.length).to.be.below(32)
    const [message, body] = answerCodec.decodeFirst(Buffer.concat([head, Buffer.alloc(100, 7)]))
    expect(message).to.deep.equal({ t: 'chunk', id: 4_000_000, number: 130_000 })
    expect(body.length).to.equal(100)
  })

  it('has room for the have-map of the largest descriptor, and for the longest have', () => {
    const held = new Uint8Array(chunksMax / 8).fill(0xff)
    const joined = { t: 'joined', bundle, descriptorBytes: maxDescriptorBytes, held } as const
    expect(answerCodec.decode(answerCodec.encode(joined))).to.deep.equal(joined)
    const [runs] = encodeRuns(Array.from({ length: haveRunsMax }, (_, at) => at * 700))
    const have = { t: 'have', number: 1, runs: runs! } as const
    expect(answerCodec.decode(answerCodec.encode(have))).to.deep.equal(have)
  })

  it('refuses unknown kinds, codes and numbers out of range', () => {
    const bad: unknown[] = [
      { t: 'steal', bundle },
      { t: 'request', bundle, id: 1, first: -1, count: 1 },
      { t: 'request', bundle, id: 1, first: 0, count: 65 },
      { t: 'request', bundle: 'x', id: 1, first: 0, count: 1 },
      { t: 'join', bundle },
    ]
    for (const message of bad) {
      expect(() => askCodec.decode(askCodec.encode(message as never))).to.throw(PotluckError)
    }
    const refused = { t: 'refused', bundle, code: 'WHATEVER' }
    expect(() => answerCodec.decode(answerCodec.encode(refused as never))).to.throw(PotluckError)
  })

  it('meets noise with known errors only', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (bytes) => {
        for (const codec of [askCodec, answerCodec]) {
          try {
            codec.decodeFirst(bytes)
          } catch (error) {
            if (!(error instanceof PotluckError)) return false
          }
        }
        return true
      }),
      { numRuns: 500 },
    )
  })
})
