import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { bundleIdOf, maxDescriptorBytes } from '../bundle/index.ts'
import type { PeerId } from '../ids.ts'
import { DescriptorAssembly } from './descriptor-assembly.ts'
import { descriptorPieceBytes } from './wire.ts'

describe('swarm/descriptor-assembly', () => {
  const bytes = new Uint8Array(randomBytes(2 * descriptorPieceBytes + 100))
  const begin = (init: { sizeBytes?: number; rounds?: number } = {}) =>
    new DescriptorAssembly({
      bundle: bundleIdOf(bytes),
      peer: 'peer' as PeerId,
      sizeBytes: bytes.length,
      nowMs: 0,
      rounds: 0,
      ...init,
    })
  const piece = (index: number) =>
    bytes.subarray(index * descriptorPieceBytes, (index + 1) * descriptorPieceBytes)

  it('gives the whole when the last piece is there', () => {
    const assembly = begin()
    expect(assembly.add(0, piece(0), 1)).to.equal(undefined)
    expect(assembly.add(descriptorPieceBytes, piece(1), 2)).to.equal(undefined)
    const whole = assembly.add(2 * descriptorPieceBytes, piece(2), 3)
    expect(whole).to.deep.equal(Buffer.from(bytes))
  })

  it('takes whole pieces only, and only the next one', () => {
    for (const body of [new Uint8Array(0), piece(0).subarray(0, 1), piece(0).subarray(1)]) {
      expect(() => begin().add(0, body, 1))
        .to.throw()
        .with.property('code', 'PROTOCOL_BREACH')
    }
    const next = () => begin().add(descriptorPieceBytes, piece(1), 1)
    expect(next).to.throw().with.property('code', 'PROTOCOL_BREACH')
    const short = begin({ sizeBytes: 100 })
    expect(() => short.add(0, piece(0), 1))
      .to.throw()
      .with.property('code', 'PROTOCOL_BREACH')
  })

  it('refuses sizes that no descriptor has', () => {
    for (const sizeBytes of [0, maxDescriptorBytes + 1]) {
      expect(() => begin({ sizeBytes }))
        .to.throw()
        .with.property('code', 'PROTOCOL_BREACH')
    }
  })

  it('is late when a piece is, or when all of it takes too long', () => {
    expect(begin().isLate(3_000)).to.equal(false)
    expect(begin().isLate(3_001)).to.equal(true)
    const dripping = begin({ sizeBytes: 40 * descriptorPieceBytes })
    const allowedMs = 10_000 + (40 * descriptorPieceBytes) / 256
    let nowMs = 0
    for (let index = 0; !dripping.isLate(nowMs) && index < 39; index += 1) {
      nowMs += 2_900
      dripping.add(index * descriptorPieceBytes, piece(0), nowMs)
    }
    expect(nowMs).to.be.within(allowedMs, allowedMs + 2_900)
  })

  it('has more patience after each round in which all were late', () => {
    expect(begin({ rounds: 2 }).isLate(12_000)).to.equal(false)
    expect(begin({ rounds: 2 }).isLate(12_001)).to.equal(true)
    expect(begin({ rounds: 1_000 }).isLate(200_000)).to.equal(true)
  })
})
