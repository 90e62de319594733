/**
 * The key that an organization checks its webhooks by (svix: `whsec_` and this text). Made when it is
 * first asked for, sealed at rest, replaced at once when it is rotated.
 */
import { randomBytes } from 'node:crypto'
import Type from 'typebox'
import { collection, type Store } from '../../protocol/store/index.ts'
import { BytesSchema, CountSchema } from '../../protocol/wire/index.ts'
import type { Sealer, SecretPlace } from '../secrets/index.ts'

export interface WebhookSecretKeys {
  /** Base64 of 32 random bytes; the same until it is rotated. @throws {SecretUnreadableError} */
  get(organizationId: string): Promise<string>
  /** A new one, durable when it resolves. */
  rotate(organizationId: string): Promise<string>
}

export type WebhookSecretKeysComponents = Readonly<{
  store: Store
  sealer: Sealer
  wallNowMs?: () => number
}>

const keyBytes = 32

export async function openWebhookSecretKeys({
  store,
  sealer,
  wallNowMs = Date.now,
}: WebhookSecretKeysComponents): Promise<WebhookSecretKeys> {
  const schema = Type.Object({ keySealed: BytesSchema(30, 200), createdMs: CountSchema() })
  const records = collection(store, 'webhook-secret-keys', schema)
  const sealed = new Map<string, Uint8Array>()
  for await (const [id, { keySealed }] of records.entries()) sealed.set(id, keySealed)
  /** First keys on their way to the disk: who asks at the same time is told the same. */
  const making = new Map<string, Promise<string>>()

  const make = async (organizationId: string): Promise<string> => {
    const key = randomBytes(keyBytes)
    const keySealed = sealer.seal(placeOf(organizationId), key)
    await records.put(organizationId, { keySealed, createdMs: wallNowMs() })
    sealed.set(organizationId, keySealed)
    return key.toString('base64')
  }

  return {
    async get(organizationId) {
      const known = sealed.get(organizationId)
      if (known) {
        return Buffer.from(sealer.open(placeOf(organizationId), known)).toString('base64')
      }
      const made = making.get(organizationId) ?? make(organizationId)
      making.set(organizationId, made)
      try {
        return await made
      } finally {
        making.delete(organizationId)
      }
    },
    rotate: make,
  }
}

function placeOf(organizationId: string): SecretPlace {
  return { record: `organization/${organizationId}`, field: 'webhook-secret-key' }
}
