/** Small readers of what other programs print. */
import { expect } from 'chai'
import fc from 'fast-check'
import { errorCode } from '../../protocol/errors.ts'
import { parseMounts } from '../../protocol/mounts/index.ts'
import { hasProjectQuota, parseNofileMax } from './docker-info.ts'
import { logLines } from './docker-logs.ts'
import { createLayerCount } from './docker-pull.ts'
import { compareVersions, parseToolkitVersion, requireToolkit } from './gpu-toolkit.ts'
import { parseContainerLabels } from './labels.ts'

function frame(output: 1 | 2, text: string): Buffer {
  const header = Buffer.alloc(8)
  header[0] = output
  header.writeUInt32BE(Buffer.byteLength(text), 4)
  return Buffer.concat([header, Buffer.from(text)])
}

describe('node/engine: what other programs print', () => {
  it('a log is lines, not frames; outputs do not mix within a line', () => {
    const log = [frame(1, 'one\ntw'), frame(2, 'error\r\n'), frame(1, 'o\nend')]
    expect(logLines(Buffer.concat(log))).to.deep.equal(['one', 'error', 'two', 'end'])
    expect(logLines(Buffer.alloc(0))).to.deep.equal([])
  })

  it('property: no bytes make the log reader throw or hang', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(logLines(Buffer.from(bytes)).length).to.be.at.most(bytes.length + 2)
      }),
    )
  })

  it('the toolkit’s version, from either of its programs', () => {
    expect(parseToolkitVersion('NVIDIA Container Toolkit CLI version 1.17.8\ncommit: x')).to.equal(
      '1.17.8',
    )
    expect(parseToolkitVersion('cli-version: 1.16.2\nlib-version: 1.16.2')).to.equal('1.16.2')
    expect(parseToolkitVersion('command not found')).to.equal(undefined)
  })

  it('refuses a missing or vulnerable toolkit, takes a fixed one', () => {
    const code = (version: string | undefined): string | undefined => {
      try {
        requireToolkit(version, '1.17.8')
        return 'taken'
      } catch (error) {
        return errorCode(error)
      }
    }
    expect([undefined, '1.17.7', '1.9.9', '0.99.99'].map(code)).to.deep.equal(
      Array(4).fill('GPU_UNAVAILABLE'),
    )
    expect(['1.17.8', '1.18.0', '1.17.10', '2.0'].map(code)).to.deep.equal(Array(4).fill('taken'))
    expect(compareVersions('1.10.0', '1.9.0')).to.be.greaterThan(0)
  })

  it('project quotas, by the mount that holds the path', () => {
    const mounts = parseMounts(
      [
        '1 0 8:1 / / rw - ext4 /dev/a rw',
        '2 1 8:2 / /var rw - xfs /dev/b rw,attr2,prjquota',
        '3 2 8:3 / /var/lib/docker/plain rw - xfs /dev/c rw,noquota',
      ].join('\n'),
    )
    expect(hasProjectQuota(mounts, '/var/lib/docker')).to.equal(true)
    expect(hasProjectQuota(mounts, '/var/lib/docker/plain/x')).to.equal(false)
    expect(hasProjectQuota(mounts, '/variable')).to.equal(false)
  })

  it('the hard limit on open files', () => {
    const limits = 'Limit  Soft  Hard  Units\nMax open files            1024   20000   files\n'
    expect(parseNofileMax(limits)).to.equal(20_000)
    expect(parseNofileMax('')).to.equal(undefined)
  })

  it('counts layers through the words of a pull', () => {
    const count = createLayerCount()
    const events = [
      { status: 'Pulling from bundle', id: 'sha256:x' },
      { status: 'Pulling fs layer', id: 'a' },
      { status: 'Pulling fs layer', id: 'b' },
      { status: 'Downloading', id: 'a' },
      { status: 'Pull complete', id: 'a' },
      { status: 'Pull complete', id: 'a' },
      { status: 'Already exists', id: 'c' },
    ]
    expect(events.map((event) => count.see(event))).to.deep.equal([
      false,
      true,
      true,
      false,
      true,
      false,
      true,
    ])
    expect(count.progress()).to.deep.equal({ layersTotal: 3, layersDone: 2 })
  })

  it('labels of others are not ours', () => {
    expect(parseContainerLabels(undefined)).to.equal(undefined)
    expect(parseContainerLabels({ 'potluck.node': 'n' })).to.equal(undefined)
    const label = { 'potluck.node': 'n', 'potluck.slot': 's', 'potluck.instance': 'i' }
    const rest = { 'potluck.image': `sha256:${'0'.repeat(64)}`, 'potluck.term': '1' }
    expect(parseContainerLabels({ ...label, ...rest, 'potluck.epoch': '0' })).to.equal(undefined)
    expect(parseContainerLabels({ ...label, ...rest, 'potluck.epoch': '2' })).to.include({
      epoch: 2,
    })
  })
})
