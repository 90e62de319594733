import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { missingOf, requireMachine } from './requirements.ts'

describe('scripts/demo requirements', () => {
  it('says what is missing, and which package brings it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'potluck-path-'))
    try {
      const names = ['containerd', 'ip', 'iptables', 'nsenter', 'setpriv', 'perl']
      for (const name of names) await writeFile(join(folder, name), '', { mode: 0o755 })
      const missing = missingOf({ platform: 'linux', uid: 0, path: folder })
      expect(missing).to.match(/^dockerd, docker-registry \(.* docker\.io docker-registry\)$/)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('asks for root and for Linux first', () => {
    expect(missingOf({ platform: 'linux', uid: 1_000, path: '' })).to.match(/^root/)
    expect(missingOf({ platform: 'darwin', uid: 0, path: '' })).to.match(/^Linux/)
    expect(() => requireMachine({ platform: 'linux', uid: 1_000, path: '' })).to.throw(/needs root/)
  })
})
