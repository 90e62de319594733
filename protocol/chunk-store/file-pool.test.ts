import { mkdir, mkdtemp, readdir, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { createFilePool } from './file-pool.ts'

/** Files of `folder` that this process has open. */
async function openIn(folder: string): Promise<number> {
  const links = await Promise.all(
    (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  )
  return links.filter((path) => path.startsWith(folder)).length
}

describe('the pool of open files', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'potluck-pool-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('keeps its bound and leaks none, however many are used side by side', async function () {
    if (process.platform !== 'linux') this.skip() // it counts in /proc
    const pool = createFilePool({ openMax: 3 })
    for (let round = 0; round < 20; round += 1) {
      const uses = Array.from({ length: 12 }, (_, at) =>
        pool.use(join(folder, String((at * (round + 1)) % 9)), async (file) => {
          await file.write('x')
        }),
      )
      await Promise.all(uses)
      expect(await openIn(folder)).to.be.at.most(3)
    }
    await pool.close()
    expect(await openIn(folder)).to.equal(0)
  })

  it('opens a file again after it could not be opened', async () => {
    const pool = createFilePool()
    const path = join(folder, 'missing', 'file')
    const failure = await pool.use(path, async () => 1).catch((error: unknown) => error)
    expect(failure).to.have.property('code', 'ENOENT')
    await mkdir(join(folder, 'missing'))
    expect(await pool.use(path, async () => 2)).to.equal(2)
    await pool.close()
  })
})
