/** What ends an ingest beside what registries and the chunk store say themselves. */
import { PotluckError, type PotluckErrorInit } from '../../protocol/errors.ts'
import type { Digest } from '../../protocol/ids.ts'

/** A registry that drips: asked again, the blob is gone on with where it was. */
export class RegistryTooSlowError extends PotluckError {
  constructor(repository: string, minBytes: number, windowMs: number) {
    super(
      'REGISTRY_TOO_SLOW',
      `${repository} brought less than ${minBytes} bytes of a blob in ${windowMs / 1000} s. Try again later`,
      { fields: { repository, minBytes, windowMs } },
    )
  }
}

/** The registry's bytes are not those that the manifest names: the blob's key must be dropped. */
export class WrongBlobError extends PotluckError {
  readonly digest: Digest

  constructor(repository: string, digest: Digest, init: PotluckErrorInit = {}) {
    super(
      'DIGEST_MISMATCH',
      `${repository} has other bytes than ${digest} under that name. Push the image again`,
      { fields: { repository, digest }, ...init },
    )
    this.digest = digest
  }
}

/** A config that no engine would take either. */
export class ConfigTooLargeError extends PotluckError {
  constructor(repository: string, sizeBytes: number, maxBytes: number) {
    super(
      'MANIFEST_UNSUPPORTED',
      `an image of ${repository} has a config of ${sizeBytes} bytes; at most ${maxBytes} are read`,
      { fields: { repository, sizeBytes, maxBytes } },
    )
  }
}

/** The cache stops, or the last caller left. What was read is kept. */
export class IngesterStoppedError extends PotluckError {
  constructor() {
    super('CACHE_STOPPING', 'the cache stops; ask it, or another one, again')
  }
}
