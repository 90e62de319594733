import { expect } from 'chai'
import fc from 'fast-check'
import { framed, RecordCutter, recordBytesMax } from './records.ts'

function join(records: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(records.map((record) => framed(record).subarray()))
}

describe('lanes/records', () => {
  it('cuts what comes into the same records, however it comes', () => {
    const records = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 })
    const cuts = fc.array(fc.nat(2_400), { maxLength: 20 })
    fc.assert(
      fc.property(records, cuts, (sent, at) => {
        const bytes = join(sent)
        const cutter = new RecordCutter()
        const got: Uint8Array[] = []
        const ends = [...at.map((cut) => cut % (bytes.length + 1)), bytes.length]
        let from = 0
        for (const to of ends.sort((a, b) => a - b)) {
          cutter.add(bytes.subarray(from, to))
          from = to
          for (let next = cutter.next(); next; next = cutter.next()) got.push(next.subarray())
        }
        expect(got.map((record) => [...record])).to.deep.equal(sent.map((record) => [...record]))
        expect(cutter.missingBytes).to.equal(0)
      }),
    )
  })

  it('tells what is still to come of a record', () => {
    const cutter = new RecordCutter()
    const record = framed(new Uint8Array(1_000)).subarray()
    cutter.add(record.subarray(0, 2))
    expect([cutter.next(), cutter.missingBytes]).to.deep.equal([undefined, 0])
    cutter.add(record.subarray(2, 403))
    expect([cutter.next(), cutter.missingBytes]).to.deep.equal([undefined, 600])
  })

  it('takes no record that is longer than any', () => {
    const cutter = new RecordCutter()
    const bytes = recordBytesMax + 1_000
    cutter.add(Uint8Array.of(bytes >> 16, (bytes >> 8) & 0xff, bytes & 0xff))
    expect(() => cutter.next()).to.throw(RangeError, `${bytes}`)
  })
})
