import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { createRun, deadRuns, isDead } from './run.ts'

describe('scripts/dev: whose a run is', () => {
  let parent: string
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'potluck-runs-'))
  })
  afterEach(() => rmSync(parent, { recursive: true }))

  it('tells runs of the dead from those of the living and from what is no run', async () => {
    const own = await createRun(parent)
    const { pid } = spawnSync(process.execPath, ['--version'])
    const dead = `potluck-dev-${pid}-123`
    for (const name of [dead, 'potluck-dev-x-1', 'potluck-1-1', 'other']) {
      mkdirSync(join(parent, name))
    }
    expect(await isDead(own.name)).to.equal(false)
    expect(await deadRuns([parent, parent, '/nowhere'])).to.deep.equal([
      { name: dead, path: join(parent, dead) },
    ])
  })

  it('is not deceived by a pid that came round again', async function () {
    if (process.platform !== 'linux') this.skip() // no start times there
    expect(await isDead(`potluck-dev-${process.pid}-1`)).to.equal(true)
  })
})
