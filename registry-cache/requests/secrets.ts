/**
 * Opens what the coordinator sealed for this cache. A one-time key is erased as soon as it has
 * opened its box, and the plaintext bytes are overwritten: what remains in memory is one object for
 * one pull. (JavaScript's strings cannot be overwritten; the last reference to them goes with it.)
 */
import {
  credentialsCodec,
  ingestSecretsCodec,
  type RegistryCredentials,
} from '../../protocol/control/index.ts'
import type { KeyRing, Sealed } from '../../protocol/sealing/index.ts'
import type { Codec } from '../../protocol/wire/index.ts'
import type { IngestRequest } from '../ingest/index.ts'
import { type Credentials, createCredentials } from '../oci/index.ts'

export interface SecretOpener {
  /** @throws {UnsealError} @throws {MalformedMessageError} */
  credentials(sealed: Sealed | undefined): Promise<Credentials | undefined>
  /** @throws as `credentials` */
  ingest(sealed: Sealed): Promise<IngestRequest>
  /** Public halves of keys that are being used: a fresh set of keys must not erase them. */
  keysInUse(): readonly Uint8Array[]
}

export function createSecretOpener({ ring }: { readonly ring: KeyRing }): SecretOpener {
  const inUse = new Set<Uint8Array>()
  const open = async <T, R>(sealed: Sealed, codec: Codec<T>, use: (value: T) => R): Promise<R> => {
    const { recipientKey } = sealed
    inUse.add(recipientKey)
    let plaintext: Uint8Array | undefined
    try {
      plaintext = await ring.open(sealed)
      await ring.forget(recipientKey)
      return use(codec.decode(plaintext))
    } finally {
      plaintext?.fill(0)
      inUse.delete(recipientKey)
    }
  }
  return {
    credentials: async (sealed) => sealed && (await open(sealed, credentialsCodec, hide)),
    ingest: (sealed) =>
      open(sealed, ingestSecretsCodec, ({ repository, credentials, blobs }) => ({
        repository,
        credentials: credentials && hide(credentials),
        // Copies: what was decoded may share memory with the plaintext, which is wiped.
        blobs: blobs.map((blob) => ({ ...blob, key: Uint8Array.from(blob.key) })),
      })),
    keysInUse: () => [...inUse],
  }
}

function hide({ username, password }: RegistryCredentials): Credentials {
  return createCredentials(username, password)
}

/** Overwrites the keys of an ingest that is over. */
export function wipeKeys({ blobs }: IngestRequest): void {
  for (const { key } of blobs) key.fill(0)
}
