/** Why a ban was not made or changed. */
import { PotluckError } from '../../protocol/errors.ts'
import type { PeerId } from '../../protocol/ids.ts'

export class BanNotFoundError extends PotluckError {
  constructor(peer: string) {
    super('BAN_NOT_FOUND', `peer ${peer} is not banned, nor was it; look at the list of bans`, {
      fields: { peer },
    })
  }
}

/** Automatic bans do not touch whom the operator vouches for. */
export class BanRefusedError extends PotluckError {
  constructor(peer: PeerId, why: string) {
    super('BAN_REFUSED', `peer ${peer} is not banned: ${why}`, { fields: { peer } })
  }
}
