import { expect } from 'chai'
import { createMemoryStore } from '../../protocol/store/index.ts'
import { createSealer } from '../secrets/index.ts'
import { openWebhookSecretKeys } from './index.ts'

const organization = '00000000-0000-4000-8000-000000000001'
const other = '00000000-0000-4000-8000-000000000002'

describe('coordinator/webhooks: secret keys', () => {
  const sealer = createSealer([{ id: '00000001', key: Buffer.alloc(32, 7) }])

  it('makes one key an organization, also for two who ask at once, and keeps it', async () => {
    const store = createMemoryStore()
    const keys = await openWebhookSecretKeys({ store, sealer })
    const [first, second] = await Promise.all([keys.get(organization), keys.get(organization)])
    expect(second).to.equal(first)
    expect(first).to.match(/^[+/=0-9A-Za-z]{44}$/)
    expect(await keys.get(other)).not.to.equal(first)
    const reopened = await openWebhookSecretKeys({ store, sealer })
    expect(await reopened.get(organization)).to.equal(first)
    const rotated = await reopened.rotate(organization)
    expect(rotated).not.to.equal(first)
    const again = await openWebhookSecretKeys({ store, sealer })
    expect(await again.get(organization)).to.equal(rotated)
  })

  it('never lies in the store as it is, nor opens for another organization', async () => {
    const store = createMemoryStore()
    const keys = await openWebhookSecretKeys({ store, sealer })
    const key = Buffer.from(await keys.get(organization), 'base64')
    for await (const [name, value] of store.entries()) {
      const { keySealed } = value as { keySealed: Uint8Array }
      expect(Buffer.from(keySealed).includes(key)).to.equal(false)
      await store.put(name.replace(organization, other), value)
    }
    const mixed = await openWebhookSecretKeys({ store, sealer })
    const error = await mixed.get(other).catch((reason: unknown) => reason)
    expect(error).to.have.property('code', 'SECRET_UNREADABLE')
  })
})
