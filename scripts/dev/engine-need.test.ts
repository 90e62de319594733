import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { missingForEngines, requireEngines } from './engine-need.ts'

describe('scripts/dev: what real engines need', () => {
  const root = { platform: 'linux', uid: 0 }
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'potluck-need-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  function put(...names: string[]): void {
    for (const name of names) {
      writeFileSync(join(folder, name), '')
      chmodSync(join(folder, name), 0o755)
    }
  }

  it('names what is missing, in one line, and the way without', () => {
    put('containerd', 'docker-registry', 'busybox', 'ip', 'nsenter')
    const path = `/nowhere:${folder}`
    expect(missingForEngines({ ...root, path })).to.equal(
      'dockerd, iptables (Debian: apt-get install --no-install-recommends docker.io iptables)',
    )
    expect(() => requireEngines({ ...root, path })).to.throw(/^[^\n]*dev --engine simulated$/)
    put('dockerd', 'iptables')
    expect(missingForEngines({ ...root, path })).to.equal(undefined)
  })

  it('needs Linux and root', () => {
    expect(missingForEngines({ ...root, platform: 'darwin', path: '' })).to.equal('Linux')
    expect(missingForEngines({ ...root, uid: 1000, path: '' })).to.contain('root')
  })
})
