import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { filesWithSecrets } from './secret-search.ts'

describe('scripts/demo secret search', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'potluck-search-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('finds a secret in a nested file, also across the pieces that it reads', async () => {
    await mkdir(join(folder, 'a/b'), { recursive: true })
    const piece = 1 << 20
    await writeFile(join(folder, 'a/b/file'), `${'x'.repeat(piece - 3)}canary${'x'.repeat(piece)}`)
    await writeFile(join(folder, 'a/other'), 'canar y')
    const found = await filesWithSecrets(folder, ['nothing', 'canary'])
    expect(found).to.deep.equal([join(folder, 'a/b/file')])
  })

  it('leaves out container file systems and chunks', async () => {
    for (const name of ['overlay2', 'chunks', 'docker']) {
      await mkdir(join(folder, name))
      await writeFile(join(folder, name, 'file'), 'canary')
    }
    const found = await filesWithSecrets(folder, ['canary'])
    expect(found).to.deep.equal([join(folder, 'docker/file')])
  })
})
