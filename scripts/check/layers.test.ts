import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect } from 'chai'
import { checkLayers } from './layers.ts'

describe('the layer check', () => {
  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'potluck-layers-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  const check = async (files: Record<string, string>) => {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(join(folder, dirname(path)), { recursive: true })
      await writeFile(join(folder, path), text)
    }
    return await checkLayers(folder)
  }
  const names = (breaches: readonly string[]) => breaches.map((breach) => breach.split(':')[0])

  it('lets every part import protocol', async () => {
    const report = await check({
      'protocol/a.ts': 'export const a = 1',
      'node/b.ts': "export { a } from '../protocol/a.ts'",
      'test/c.ts': "import '../node/b.ts'",
    })
    expect(report).to.deep.equal({ modules: 3, imports: 2, breaches: [] })
  })

  for (const [from, to, rule] of [
    ['protocol', 'node', 'protocol-knows-no-part'],
    ['node', 'coordinator', 'node-meets-others-on-the-wire'],
    ['coordinator', 'registry-cache', 'coordinator-meets-others-on-the-wire'],
    ['registry-cache', 'node', 'registry-cache-meets-others-on-the-wire'],
    ['node', 'test', 'product-needs-no-tests'],
    ['scripts', 'test', 'scripts-need-no-tests'],
  ] as const) {
    it(`catches ${from}/ importing a type of ${to}/`, async () => {
      const { breaches } = await check({
        [`${to}/b.ts`]: 'export type B = 1',
        [`${from}/a.ts`]: `import type { B } from '../${to}/b.ts'\nexport type A = B`,
      })
      expect(names(breaches)).to.deep.equal([rule])
    })
  }

  it('catches an import that leads nowhere', async () => {
    const { breaches } = await check({ 'node/a.ts': "import '../protocol/gone.ts'" })
    expect(names(breaches)).to.include('not-resolvable')
  })
})
