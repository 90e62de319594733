import { expect } from 'chai'
import fc from 'fast-check'
import {
  formatBitRate,
  formatByteSize,
  formatDuration,
  parseBitRate,
  parseByteSize,
  parseDurationMs,
  unlimitedBitsPerS,
} from './units.ts'

describe('protocol/config: units', () => {
  const durations: [string, number | undefined][] = [
    ['500ms', 500],
    ['15s', 15_000],
    ['1h30m', 5_400_000],
    ['1h 30m', 5_400_000],
    ['2.5 h', 9_000_000],
    ['1d', 86_400_000],
    ['0s', 0],
    ...['', '15', 's', '-1s', '1w', '15 seconds', '1e3s', '999999999999999d', '15s!', 'NaN'].map(
      (text): [string, undefined] => [text, undefined],
    ),
  ]
  for (const [text, ms] of durations) {
    it(`duration ${JSON.stringify(text)} is ${ms} ms`, () => {
      expect(parseDurationMs(text)).to.equal(ms)
    })
  }

  const sizes: [string, number | undefined][] = [
    ['50GB', 50e9],
    ['64 KiB', 65_536],
    ['64kib', 65_536],
    ['1.5M', 1_500_000],
    ['512', 512],
    ['512B', 512],
    ['0', 0],
    ...['', 'GB', '-1GB', '5i', '5iB', '1XB', '1 GB extra', '1e9', '9999999999PB'].map(
      (text): [string, undefined] => [text, undefined],
    ),
  ]
  for (const [text, bytes] of sizes) {
    it(`size ${JSON.stringify(text)} is ${bytes} bytes`, () => {
      expect(parseByteSize(text)).to.equal(bytes)
    })
  }

  const rates: [string, number | undefined][] = [
    ['10mbit', 10e6],
    ['10 Mbit/s', 10e6],
    ['1.5gbit', 1.5e9],
    ['800KBIT', 800_000],
    ['64bit', 64],
    ['unlimited', unlimitedBitsPerS],
    // Bytes, or what may be read as bytes or bits: wrong by a factor of 8 if guessed.
    ...['', '10', '10m', '10MB', '10mbps', '10MiB', 'mbit', '-1mbit', '1e6bit', '10mbits'].map(
      (text): [string, undefined] => [text, undefined],
    ),
  ]
  for (const [text, bitsPerS] of rates) {
    it(`rate ${JSON.stringify(text)} is ${bitsPerS} bit/s`, () => {
      expect(parseBitRate(text)).to.equal(bitsPerS)
    })
  }

  it('property: what is written is read back exactly', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (n) => {
        expect(parseDurationMs(formatDuration(n))).to.equal(n)
        expect(parseByteSize(formatByteSize(n))).to.equal(n)
        expect(parseBitRate(formatBitRate(n))).to.equal(n)
      }),
    )
    expect([formatDuration(90_000), formatByteSize(65_536)]).to.deep.equal(['90s', '64KiB'])
    expect([formatDuration(0), formatByteSize(50e9)]).to.deep.equal(['0ms', '50GB'])
  })
})
