import { expect } from 'chai'
import { type Lock, missingPlatforms } from './lock.ts'

const lock = (...locked: string[]): Lock => ({
  packages: {
    '': {},
    'node_modules/tool': {
      version: '1.0.0',
      dev: true,
      optionalDependencies: {
        '@tool/linux-x64-musl': '1.0.0',
        '@tool/darwin-arm64': '1.0.0',
        fsevents: '2.0.0',
      },
    },
    ...Object.fromEntries(locked.map((path) => [path, { version: '1.0.0' }])),
  },
})

describe('the check of the lock file', () => {
  it('names each build that is missing, with its platform', () => {
    expect(missingPlatforms(lock('node_modules/@tool/darwin-arm64'))).to.deep.equal({
      'node_modules/@tool/linux-x64-musl': {
        version: '1.0.0',
        cpu: ['x64'],
        dev: true,
        libc: ['musl'],
        optional: true,
        os: ['linux'],
      },
    })
  })

  it('is content when all are there, nested or not', () => {
    const nested = 'node_modules/tool/node_modules/@tool/linux-x64-musl'
    expect(missingPlatforms(lock(nested, 'node_modules/@tool/darwin-arm64'))).to.deep.equal({})
  })
})
