/** Sealing at rest: what opens, what must not, and what a lost or foreign key file leads to. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import fc from 'fast-check'
import { errorCode } from '../../protocol/errors.ts'
import { createMemoryStore } from '../../protocol/store/index.ts'
import { createKeyFile, createSealer, openSealer } from './index.ts'

const first = { id: '00000001', key: Buffer.alloc(32, 1) }
const second = { id: '00000002', key: Buffer.alloc(32, 2) }
const place = { record: 'container-group/a', field: 'env' }

function codeOf(run: () => unknown): string | undefined {
  try {
    run()
  } catch (error) {
    return errorCode(error)
  }
  return undefined
}

async function rejection(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => expect.fail('did not reject'),
    (error) => error,
  )
}

describe('coordinator/secrets', () => {
  it('opens what it sealed, and only in its own place and with its own key', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.string(), fc.string(), (bytes, record, field) => {
        const sealer = createSealer([first])
        const sealed = sealer.seal({ record, field }, bytes)
        expect([...sealer.open({ record, field }, sealed)]).to.deep.equal([...bytes])
        for (const other of [
          { record: `${record}x`, field },
          { record, field: `x${field}` },
          { record: record + field, field: '' },
        ]) {
          if (other.record === record && other.field === field) continue
          expect(codeOf(() => sealer.open(other, sealed))).to.equal('SECRET_UNREADABLE')
        }
        expect(codeOf(() => createSealer([second]).open({ record, field }, sealed))).to.equal(
          'SECRET_UNREADABLE',
        )
      }),
    )
  })

  it('refuses every flipped bit and every truncation', () => {
    const sealer = createSealer([first])
    const sealed = sealer.seal(place, Buffer.from('secret'))
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const bad = Uint8Array.from(sealed)
      bad[bit >> 3]! ^= 1 << (bit & 7)
      expect(codeOf(() => sealer.open(place, bad))).to.equal('SECRET_UNREADABLE')
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(codeOf(() => sealer.open(place, sealed.subarray(0, length)))).to.equal(
        'SECRET_UNREADABLE',
      )
    }
  })

  it('never seals the same twice alike', () => {
    const sealer = createSealer([first])
    const a = Buffer.from(sealer.sealJson(place, { A: '1' }))
    expect(a.equals(sealer.sealJson(place, { A: '1' }))).to.equal(false)
  })

  it('opens old values after a rotation, and seals with the new key', () => {
    const old = createSealer([first]).sealJson(place, 'v')
    const rotated = createSealer([second, first])
    expect(rotated.openJson(place, old)).to.equal('v')
    const fresh = rotated.sealJson(place, 'w')
    expect(codeOf(() => createSealer([first]).open(place, fresh))).to.equal('SECRET_UNREADABLE')
  })

  describe('key file', () => {
    let folder: string
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'potluck-secrets-'))
    })
    afterEach(() => rm(folder, { recursive: true, force: true }))

    it('is made at the first start, for its owner alone, and found again', async () => {
      const file = join(folder, 'deep', 'secrets.key')
      const store = createMemoryStore()
      const sealed = (await openSealer({ file }, { store })).sealJson(place, 1)
      expect((await stat(file)).mode & 0o777).to.equal(0o600)
      expect((await openSealer({ file }, { store })).openJson(place, sealed)).to.equal(1)
    })

    it('is not made anew when it is lost', async () => {
      const file = join(folder, 'secrets.key')
      const store = createMemoryStore()
      await openSealer({ file }, { store })
      await rm(file)
      const error = await rejection(openSealer({ file }, { store }))
      expect(errorCode(error)).to.equal('SECRET_KEY_INVALID')
      expect(error.message).to.contain('restore it from a backup')
    })

    it('is refused when it belongs to another database', async () => {
      const file = join(folder, 'secrets.key')
      const store = createMemoryStore()
      await openSealer({ file }, { store })
      await rm(file)
      await createKeyFile(file)
      const error = await rejection(openSealer({ file }, { store }))
      expect(error.message).to.contain('another one')
    })

    it('is never written over, and a bad one is named by line without its text', async () => {
      const file = join(folder, 'secrets.key')
      await writeFile(file, '# comment\nNOT-A-KEY-canary\n', { mode: 0o600 })
      expect(errorCode(await rejection(createKeyFile(file)))).to.equal('EEXIST')
      const error = await rejection(openSealer({ file }, { store: createMemoryStore() }))
      expect(error.message).to.contain('line 2').and.not.contain('canary')
      expect(await readFile(file, 'utf8')).to.contain('canary')
    })
  })
})
