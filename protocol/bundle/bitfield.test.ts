import { expect } from 'chai'
import fc from 'fast-check'
import { Bitfield } from './bitfield.ts'

const flags = fc.array(fc.boolean(), { maxLength: 200 })

function fieldOf(values: readonly boolean[]): Bitfield {
  const field = new Bitfield(values.length)
  for (const [bit, value] of values.entries()) field.set(bit, value)
  return field
}

describe('a bitfield', () => {
  it('is what a list of booleans says, through bytes and back', () => {
    fc.assert(
      fc.property(flags, (values) => {
        const field = Bitfield.fromBytes(values.length, fieldOf(values).toBytes())
        expect(values.map((_, bit) => field.has(bit))).to.deep.equal(values)
        expect(field.count).to.equal(values.filter(Boolean).length)
        expect(field.full).to.equal(values.every(Boolean))
        const missing = values.flatMap((value, bit) => (value ? [] : [bit]))
        expect([...field.missing()]).to.deep.equal(missing)
        expect(field.firstMissing()).to.equal(missing[0] ?? values.length)
        const inRuns = [...field.runs()].flatMap(({ start, count }) =>
          Array.from({ length: count }, (_, at) => start + at),
        )
        expect(inRuns).to.deep.equal(values.flatMap((value, bit) => (value ? [bit] : [])))
      }),
    )
  })

  it('lists what is missing between two bits', () => {
    const field = fieldOf([true, false, false, true, false])
    expect([...field.missing(2, 4)]).to.deep.equal([2])
  })

  it('has the first bit highest, as BEP 3 has it', () => {
    const field = new Bitfield(9)
    field.set(0)
    field.set(8)
    expect([...field.toBytes()]).to.deep.equal([0x80, 0x80])
  })

  it('counts a change once', () => {
    const field = new Bitfield(3)
    expect([field.set(1), field.set(1), field.count]).to.deep.equal([true, false, 1])
    expect([field.set(1, false), field.set(1, false), field.count]).to.deep.equal([true, false, 0])
  })

  it('refuses bytes of another length and padding that is set', () => {
    fc.assert(
      fc.property(fc.nat(100), fc.uint8Array({ maxLength: 20 }), (size, bytes) => {
        const padding = bytes.length * 8 - size
        const isPadded = padding >= 0 && padding < 8
        const isClean = ((bytes.at(-1) ?? 0) & ((1 << padding) - 1)) === 0
        if (isPadded && isClean) expect(Bitfield.fromBytes(size, bytes).size).to.equal(size)
        else
          expect(() => Bitfield.fromBytes(size, bytes))
            .to.throw()
            .with.property('code', 'MALFORMED_BITFIELD')
      }),
    )
  })
})
