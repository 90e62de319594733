/** Chefs, and how a node comes to one. */
import { expect } from 'chai'
import fc from 'fast-check'
import { errorCode } from '../../protocol/errors.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { createMemoryStore, type Store } from '../../protocol/store/index.ts'
import { drawClaimCode, hashClaimCode } from './claim-code.ts'
import { type Chefs, openChefs } from './index.ts'

const [a, b] = [
  '12D3KooWGRUyUmLcYH9LPiJwjkWBNBVdQdzBq3VLUsrPBBuX4yqK',
  '12D3KooWH3uVF6wv47WnArKHk5p6cvgCJEb74UTmxztmQDc298L3',
] as unknown as readonly [PeerId, PeerId]
const hourMs = 3_600_000

const codeOf = (run: Promise<unknown>): Promise<string | undefined> =>
  run.then(() => undefined, errorCode)

describe('coordinator/chefs', () => {
  let store: Store
  let chefs: Chefs
  let nowMs: number
  const open = () => openChefs({ store, nowMs: () => nowMs })
  beforeEach(async () => {
    nowMs = 1_700_000_000_000
    store = createMemoryStore()
    chefs = await open()
    for (const name of ['alice', 'bob']) await chefs.create(name)
  })
  const makeCode = async (name: string): Promise<string> =>
    (await chefs.makeClaim(name, hourMs)).code

  it('binds a node by a code, once, durably, however the code is typed', async () => {
    const code = await makeCode('alice')
    const typed = ` ${code.toLowerCase().replaceAll('-', '').replaceAll('0', 'o').replaceAll('1', 'l')} `
    expect((await chefs.claim(a, typed, 'home')).name).to.equal('alice')
    expect(await codeOf(chefs.claim(b, code, 'home'))).to.equal('CLAIM_CODE_INVALID')
    for (const each of [chefs, await open()]) {
      expect(each.ownerOf(a)?.name).to.equal('alice')
      expect(each.ownerOf(b)).to.equal(undefined)
      expect(each.claims('alice')).to.deep.equal([])
    }
  })

  it('takes the same code from the same node again: it started anew', async () => {
    const code = await makeCode('alice')
    await chefs.claim(a, code, 'home')
    nowMs += 100 * hourMs
    expect((await (await open()).claim(a, code, 'home')).name).to.equal('alice')
  })

  it('lets one of two nodes win that come at once with one code', async () => {
    const code = await makeCode('alice')
    const both = await Promise.allSettled([
      chefs.claim(a, code, 'home'),
      chefs.claim(b, code, 'home'),
    ])
    expect(both.map(({ status }) => status)).to.deep.equal(['fulfilled', 'rejected'])
  })

  it('gives a node to no second chef until the first lets go, and keeps the code', async () => {
    await chefs.claim(a, await makeCode('alice'), 'home')
    const code = await makeCode('bob')
    expect(await codeOf(chefs.claim(a, code, 'home'))).to.equal('NODE_CLAIMED')
    await chefs.release(a)
    expect((await chefs.claim(a, code, 'home')).name).to.equal('bob')
    expect(await codeOf(chefs.release(b))).to.equal('NODE_NOT_CLAIMED')
  })

  it('gives a node that two chefs claim at once to one', async () => {
    const codes = [await makeCode('alice'), await makeCode('bob')]
    const both = await Promise.all(codes.map((code) => codeOf(chefs.claim(a, code, 'home'))))
    expect(both).to.deep.equal([undefined, 'CLAIM_UNDER_WAY'])
    expect(chefs.ownerOf(a)?.name).to.equal('alice')
  })

  it('ends a code that ran out, was taken back, or whose chef is gone', async () => {
    const [old, taken] = [await makeCode('alice'), await makeCode('alice')]
    const { id } = chefs.claims('alice')[1]!
    await chefs.revokeClaim('alice', id)
    expect(await codeOf(chefs.revokeClaim('bob', id))).to.equal('CLAIM_NOT_FOUND')
    const left = chefs.claims('alice')
    expect(left).to.have.length(1)
    nowMs += hourMs
    expect(chefs.claims('alice')).to.deep.equal([])
    for (const code of [old, taken]) {
      expect(await codeOf(chefs.claim(a, code, 'home'))).to.equal('CLAIM_CODE_INVALID')
    }
    const code = await makeCode('bob')
    await chefs.delete('bob')
    expect(await codeOf(chefs.claim(a, code, 'home'))).to.equal('CLAIM_CODE_INVALID')
  })

  it('lets a household guess ten times in ten minutes, and others go on', async () => {
    const code = await makeCode('alice')
    for (let i = 0; i < 10; i++) {
      expect(await codeOf(chefs.claim(a, `wrong-${i}`, 'home'))).to.equal('CLAIM_CODE_INVALID')
    }
    expect(await codeOf(chefs.claim(a, code, 'home'))).to.equal('CLAIM_RATE_LIMITED')
    expect(await codeOf(chefs.claim(b, code, 'home'))).to.equal('CLAIM_RATE_LIMITED')
    nowMs += 600_000
    expect(await codeOf(chefs.claim(a, code, 'home'))).to.equal(undefined)
    expect(await codeOf(chefs.claim(b, await makeCode('bob'), 'elsewhere'))).to.equal(undefined)
  })

  it('keeps a chef with nodes, and bounds the codes that wait', async () => {
    await chefs.claim(a, await makeCode('alice'), 'home')
    expect(await codeOf(chefs.delete('alice'))).to.equal('CHEF_HAS_NODES')
    expect(await codeOf(chefs.create('alice'))).to.equal('CHEF_NAME_TAKEN')
    expect(await codeOf(chefs.create('A'))).to.equal('TENANT_NAME_INVALID')
    for (let i = 0; i < 100; i++) await makeCode('bob')
    expect(await codeOf(makeCode('bob'))).to.equal('CLAIMS_TOO_MANY')
    nowMs += hourMs
    await makeCode('bob')
    let kept = 0
    for await (const _ of store.entries({ prefix: 'chef-claims/' })) kept++
    expect(kept, 'what ran out is gone').to.equal(1)
  })

  it('stores no code', async () => {
    const code = await makeCode('alice')
    await chefs.claim(a, await makeCode('bob'), 'home')
    for await (const [key, value] of store.entries()) {
      const text = key + JSON.stringify(value)
      expect(text).not.to.contain(code).and.not.contain(code.replaceAll('-', ''))
    }
  })

  it('draws codes that read the same however they are typed', () => {
    const bytes = fc.uint8Array({ minLength: 20, maxLength: 20 })
    fc.assert(
      fc.property(bytes, bytes, (first, second) => {
        const [one, two] = [drawClaimCode(() => first), drawClaimCode(() => second)]
        expect(one).to.match(/^([0-9A-HJKMNP-TV-Z]{4}-){4}[0-9A-HJKMNP-TV-Z]{4}$/)
        expect(hashClaimCode(one.toLowerCase())).to.deep.equal(hashClaimCode(one))
        const isSame = Buffer.compare(hashClaimCode(one), hashClaimCode(two)) === 0
        expect(isSame).to.equal(one === two)
      }),
    )
  })
})
