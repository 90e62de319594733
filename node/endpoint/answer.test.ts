import { expect } from 'chai'
import fc from 'fast-check'
import type { Digest } from '../../protocol/ids.ts'
import { type Ask, answerPull, type Pull, type Servable } from './answer.ts'

const digestOf = (c: string) => `sha256:${c.repeat(64)}` as Digest
const manifest: Servable = {
  digest: digestOf('a'),
  sizeBytes: 3,
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  content: { manifest: new Uint8Array(3) },
}
const layer: Servable = {
  digest: digestOf('b'),
  sizeBytes: 100,
  mediaType: 'application/octet-stream',
  content: { blobIndex: 1 },
}
const pull: Pull = {
  host: '127.0.0.1:4000',
  repository: 'bundle',
  username: 'potluck',
  password: 'right',
  items: new Map([manifest, layer].map((item) => [item.digest, item])),
}
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
const ask = (url: string, changes: Partial<Ask> = {}): Ask => ({
  method: 'GET',
  url,
  host: pull.host,
  authorization: basic('potluck:right'),
  range: undefined,
  ...changes,
})
const layerUrl = `/v2/bundle/blobs/${layer.digest}`

describe('endpoint answers', () => {
  it('serves the manifest and the blobs of its pull', () => {
    expect(answerPull(pull, ask('/v2/')).status).to.equal(200)
    const got = answerPull(pull, ask(`/v2/bundle/manifests/${manifest.digest}`))
    expect(got).to.include({ status: 200, item: manifest })
    expect(answerPull(pull, ask(layerUrl))).to.deep.include({
      status: 200,
      part: { start: 0, end: 100, isPartial: false },
    })
  })

  it('asks for the password before it says anything else', () => {
    for (const authorization of [
      undefined,
      '',
      'Basic',
      basic('potluck:wrong'),
      basic('potluck:right2'),
      basic('potluck'),
      'Bearer right',
    ]) {
      for (const url of ['/v2/', layerUrl, '/v2/bundle/blobs/sha256:none', '/']) {
        expect(answerPull(pull, ask(url, { authorization })).status).to.equal(401)
      }
    }
  })

  it('refuses a foreign Host, as a rebinding web page would send', () => {
    for (const host of [
      'evil.example',
      'localhost:4000',
      '127.0.0.1:4001',
      '127.0.0.1',
      undefined,
    ]) {
      expect(answerPull(pull, ask(layerUrl, { host })).status).to.equal(421)
    }
  })

  it('knows no other digest, repository, kind or method', () => {
    for (const url of [
      `/v2/bundle/blobs/${digestOf('c')}`,
      `/v2/other/blobs/${layer.digest}`,
      `/v2/bundle/manifests/${layer.digest}`,
      `/v2/bundle/blobs/${manifest.digest}`,
      '/v2/bundle/manifests/latest',
      '/v2/_catalog',
      '/v2/bundle/tags/list',
    ]) {
      expect(answerPull(pull, ask(url)).status, url).to.equal(404)
    }
    expect(answerPull(pull, ask(layerUrl, { method: 'DELETE' })).status).to.equal(405)
  })

  it('serves any single range within the blob, and never a byte outside it', () => {
    fc.assert(
      fc.property(fc.nat(150), fc.nat(150), (first, last) => {
        const answer = answerPull(pull, ask(layerUrl, { range: `bytes=${first}-${last}` }))
        if (last < first) expect(answer.status).to.equal(200)
        else if (first >= 100) expect(answer.status).to.equal(416)
        else {
          expect(answer).to.deep.include({
            status: 206,
            part: { start: first, end: Math.min(100, last + 1), isPartial: true },
          })
        }
      }),
    )
    const suffix = answerPull(pull, ask(layerUrl, { range: 'bytes=-10' }))
    expect(suffix).to.deep.include({ part: { start: 90, end: 100, isPartial: true } })
  })

  it('answers noise without throwing', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (url, authorization, range) => {
        const { status } = answerPull(pull, ask(`/${url}`, { authorization, range }))
        expect([200, 206, 401, 404, 405, 416, 421]).to.include(status)
      }),
    )
  })
})
