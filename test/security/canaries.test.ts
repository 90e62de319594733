import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { createCanaries } from './canaries.ts'

describe('the search for canaries', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'potluck-canaries-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  const forms: Record<string, (secret: string) => string | Uint8Array> = {
    'as it is': (secret) => `before${secret}after`,
    'in hex': (secret) => Buffer.from(`a${secret}b`).toString('hex'),
    'in upper-case hex': (secret) => Buffer.from(secret).toString('hex').toUpperCase(),
    'in base64': (secret) => Buffer.from(secret).toString('base64'),
    'in base64 behind one byte': (secret) => Buffer.from(`:${secret}:`).toString('base64'),
    'in base64 behind two bytes': (secret) => Buffer.from(`ab${secret}x`).toString('base64'),
    'as a Basic header': (secret) => `Basic ${Buffer.from(`user:${secret}`).toString('base64')}`,
    'across two reads': (secret) =>
      Buffer.concat([Buffer.alloc((4 << 20) - 7), Buffer.from(secret)]),
  }
  for (const [form, write] of Object.entries(forms)) {
    it(`finds one ${form}`, async () => {
      const canaries = createCanaries()
      const secret = canaries.make('env')
      canaries.make('other')
      await mkdir(join(folder, 'a/b'), { recursive: true })
      await writeFile(join(folder, 'a/b/file'), write(secret))
      await writeFile(join(folder, 'innocent'), 'nothing')
      const found = await canaries.inFiles({ folders: [folder] })
      expect(found).to.deep.equal([{ canary: 'env', path: join(folder, 'a/b/file') }])
      expect(canaries.inText('here', write(secret))).to.deep.equal([
        { canary: 'env', path: 'here' },
      ])
    })
  }

  it('finds keys of any bytes, and leaves out what it is told to', async () => {
    const canaries = createCanaries()
    const key = new Uint8Array(32).map((_, at) => at * 9 + 251)
    canaries.add('key', key)
    await mkdir(join(folder, 'left'))
    await writeFile(join(folder, 'left/raw'), key)
    await writeFile(join(folder, 'url'), Buffer.from(key).toString('base64url'))
    const leftOut = [join(folder, 'left')]
    const found = await canaries.inFiles({ folders: [folder], leftOut })
    expect(found.map(({ path }) => path)).to.deep.equal([join(folder, 'url')])
  })
})
