/**
 * Where images come from, as the cache sees it: a real registry, or a simulated one. Everything that
 * ingests is written against this interface, so that it is tested without a network.
 */
import { inspect } from 'node:util'
import type { Digest } from '../../protocol/ids.ts'

/** A tenant's registry account. Make it with {@link createCredentials}, which hides it from logs. */
export type Credentials = Readonly<{ username: string; password: string }>

/** A layer or a config, as the manifest describes it. */
export type ResolvedBlob = Readonly<{ digest: Digest; sizeBytes: number; mediaType: string }>

export type ResolvedImage = Readonly<{
  /** The reference in full: `docker.io/library/ubuntu:latest`. */
  reference: string
  /** `host/path` that manifest and blobs are read from: `docker.io/library/ubuntu`. */
  repository: string
  /** The exact bytes of the one platform's manifest; their SHA-256 is `manifestDigest`. */
  manifest: Uint8Array
  manifestDigest: Digest
  mediaType: string
  config: ResolvedBlob
  /** In the manifest's order; a layer may stand in it twice. */
  layers: readonly ResolvedBlob[]
  /** Config and layers, each distinct blob once. */
  sizeBytes: number
  /**
   * True if and only if no credentials were given: then anyone may pull it, and its keys may be
   * shared by the network. Whoever gives credentials gets the organization's scope, even where the
   * registry would have answered without: we do not try, because a manifest that is public says
   * nothing of the blobs behind it.
   */
  public: boolean
}>

export interface ImageSource {
  /**
   * Finds the manifest of the wanted platform. Reads no blob, so the platform of an image without
   * an index is known only from its config: see `checkImageConfig`.
   *
   * @throws {ImageSourceError} any of its codes.
   * @throws {AddressRefusedError} registry, realm or redirect lead inside.
   */
  resolve(
    reference: string,
    credentials: Credentials | undefined,
    options: { readonly signal: AbortSignal },
  ): Promise<ResolvedImage>

  /**
   * The blob's bytes from `fromByte` to its end, exactly `sizeBytes - fromByte` of them, read as the
   * caller asks for them. A broken body is continued where it broke. Whether the bytes have the
   * digest is for the caller to see, who hashes all of them, also those before a restart.
   */
  readBlob(
    repository: string,
    blob: ResolvedBlob,
    credentials: Credentials | undefined,
    options: { readonly fromByte: number; readonly signal: AbortSignal },
  ): AsyncIterable<Uint8Array>

  /**
   * Whether these credentials may read the blob there; false for a blob that is not there.
   * @throws {ImageSourceError} `UNAUTHORIZED` where the registry refuses.
   */
  hasBlob(
    repository: string,
    digest: Digest,
    credentials: Credentials | undefined,
    options: { readonly signal: AbortSignal },
  ): Promise<boolean>

  /** Closes connections and ends what is under way. Twice is harmless. */
  close(): Promise<void>
}

/**
 * Credentials that neither JSON, nor a logger, nor a spread, nor `console.log` shows: both values
 * are readable by name only.
 */
export function createCredentials(username: string, password: string): Credentials {
  const hidden = { enumerable: false, writable: false, configurable: false }
  const shown = '[credentials]'
  return Object.freeze(
    Object.defineProperties({} as Credentials, {
      username: { ...hidden, value: username },
      password: { ...hidden, value: password },
      toString: { ...hidden, value: () => shown },
      toJSON: { ...hidden, value: () => shown },
      [inspect.custom]: { ...hidden, value: () => shown },
    }),
  )
}
