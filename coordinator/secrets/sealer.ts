/**
 * Seals what tenants entrust to the coordinator (environment, registry credentials) before it
 * reaches the database. A sealed value opens only in the record and field that it was sealed for:
 * whoever can write the database cannot move one tenant's secret into another's group.
 *
 * Format: version 1 (1 byte), key id (4), nonce (12, random), AES-256-GCM ciphertext, tag (16).
 * Additional data: all that stands before the ciphertext, then record and field.
 * Random nonces: NIST SP 800-38D allows 2^32 sealings a key.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import Type from 'typebox'
import { collection, type Store } from '../../protocol/store/index.ts'
import { SecretKeyError, SecretUnreadableError } from './errors.ts'
import { createKeyFile, readKeyFile, type SecretKey } from './key-file.ts'

/** Where a secret belongs: `container-group/<uuid>`, `env`. */
export type SecretPlace = Readonly<{ record: string; field: string }>

export interface Sealer {
  seal(place: SecretPlace, plaintext: Uint8Array): Uint8Array
  /** @throws {SecretUnreadableError} */
  open(place: SecretPlace, sealed: Uint8Array): Uint8Array
  /** Seals plain data as JSON. */
  sealJson(place: SecretPlace, value: unknown): Uint8Array
  /** @throws {SecretUnreadableError} */
  openJson(place: SecretPlace, sealed: Uint8Array): unknown
}

const version = 1
const headerBytes = 1 + 4 + 12
const tagBytes = 16

/** A sealer with `keys`, the first of which seals. */
export function createSealer(keys: readonly [SecretKey, ...SecretKey[]]): Sealer {
  const sealing = keys[0]
  const byId = new Map(keys.map(({ id, key }) => [id, key]))

  const seal = (place: SecretPlace, plaintext: Uint8Array): Uint8Array => {
    const header = Buffer.concat([
      Buffer.from([version]),
      Buffer.from(sealing.id, 'hex'),
      randomBytes(12),
    ])
    const cipher = createCipheriv('aes-256-gcm', sealing.key, header.subarray(5))
    cipher.setAAD(additionalData(header, place))
    const body = cipher.update(plaintext)
    return Buffer.concat([header, body, cipher.final(), cipher.getAuthTag()])
  }

  const open = (place: SecretPlace, sealed: Uint8Array): Uint8Array => {
    const { record, field } = place
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
    if (bytes.length < headerBytes + tagBytes || bytes[0] !== version) {
      throw new SecretUnreadableError(record, field, 'it is not of a known format')
    }
    const header = bytes.subarray(0, headerBytes)
    const id = header.toString('hex', 1, 5)
    const key = byId.get(id)
    if (!key) throw new SecretUnreadableError(record, field, `its key ${id} is not in the key file`)
    const decipher = createDecipheriv('aes-256-gcm', key, header.subarray(5))
    decipher.setAAD(additionalData(header, place))
    decipher.setAuthTag(bytes.subarray(-tagBytes))
    try {
      const body = decipher.update(bytes.subarray(headerBytes, -tagBytes))
      return Buffer.concat([body, decipher.final()])
    } catch {
      throw new SecretUnreadableError(record, field, 'it was changed, or sealed for another place')
    }
  }

  return {
    seal,
    open,
    sealJson: (place, value) => seal(place, Buffer.from(JSON.stringify(value))),
    openJson: (place, sealed) => JSON.parse(Buffer.from(open(place, sealed)).toString()),
  }
}

/** Lengths stand first, so that no two places yield the same bytes. */
function additionalData(header: Uint8Array, { record, field }: SecretPlace): Buffer {
  const place = Buffer.from(JSON.stringify(['potluck-secret', record, field]))
  return Buffer.concat([header, place])
}

export type OpenSealerInit = Readonly<{
  /** The key file; made when this database has never sealed anything. */
  file: string
}>

/**
 * The sealer of a database. Remembers in `store` which keys were used, so that a lost key file is
 * told apart from a first start: a fresh key in its place would make every secret unreadable.
 * @throws {SecretKeyError}
 */
export async function openSealer(
  { file }: OpenSealerInit,
  { store }: { readonly store: Store },
): Promise<Sealer> {
  const used = collection(store, 'secret-keys', Type.Object({ sinceMs: Type.Integer() }))
  const usedIds: string[] = []
  for await (const [id] of used.entries()) usedIds.push(id)

  let keys = await readKeyFile(file)
  if (!keys && usedIds.length > 0) {
    const problem = `it is missing, and the database holds secrets sealed with ${usedIds.join(', ')}; restore it from a backup`
    throw new SecretKeyError(file, problem)
  }
  keys ??= await createKeyFile(file)
  const [sealing, ...others] = keys
  if (!sealing) throw new SecretKeyError(file, 'holds no key')
  const lost = usedIds.filter((id) => !keys.some((key) => key.id === id))
  if (usedIds.length > 0 && lost.length === usedIds.length) {
    const problem = `it holds none of the keys that sealed this database (${lost.join(', ')}); it belongs to another one`
    throw new SecretKeyError(file, problem)
  }
  if (!usedIds.includes(sealing.id)) await used.put(sealing.id, { sinceMs: Date.now() })
  return createSealer([sealing, ...others])
}
