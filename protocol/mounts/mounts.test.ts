import { expect } from 'chai'
import { mountOf, mountPointsUnder, parseMounts } from './index.ts'

describe('the mount table', () => {
  it('has points with blanks, sources, and the options of file systems', () => {
    const line = '9 1 0:1 / /run/a\\040b rw,nosuid shared:5 - tmpfs potluck-run rw,size=16k'
    expect(parseMounts(`${line}\n`)).to.deep.equal([
      { at: '/run/a b', source: 'potluck-run', options: ['rw', 'size=16k'] },
    ])
  })

  it('tells mounts below a folder, the deepest first, and none beside it', () => {
    const line = (at: string): string => `9 1 0:1 / ${at} rw - tmpfs x rw`
    const mounts = parseMounts(
      ['/', '/run/a', '/run/a/b', '/run/ab', '/run/a/c\\040d'].map(line).join('\n'),
    )
    expect(mountPointsUnder(mounts, '/run/a')).to.deep.equal(['/run/a/c d', '/run/a/b', '/run/a'])
  })

  it('tells which mount holds a path: the deepest, the newest of one point', () => {
    const table = [
      ['/', 'root'],
      ['/var', 'old'],
      ['/var', 'new'],
      ['/var/lib', 'deep'],
    ]
    const mounts = parseMounts(
      table.map(([at, of]) => `9 1 0:1 / ${at} rw - ext4 ${of} rw`).join('\n'),
    )
    const sourceOf = (path: string): string | undefined => mountOf(mounts, path)?.source
    expect(['/x', '/var', '/var/log', '/var/lib/docker', '/variable'].map(sourceOf)).to.deep.equal([
      ...['root', 'new', 'new', 'deep', 'root'],
    ])
  })
})
