/** What can go wrong between those who exchange chunks. */
import { PotluckError, type PotluckErrorInit } from '../errors.ts'
import type { BundleId, PeerId } from '../ids.ts'
import type { RefusalCode } from './wire.ts'

/** A holder said no. `code` is on the wire; see {@link RefusalCode}. */
export class RefusedError extends PotluckError {
  constructor(peer: PeerId, bundle: BundleId, code: RefusalCode) {
    super(code, `peer ${peer} refused bundle ${bundle}: ${code}`, { fields: { peer, bundle } })
  }
}

/** A requester asked for more than may lie in its queue. The stream is ended. */
export class TooManyRequestsError extends PotluckError {
  constructor(what: string, max: number) {
    super('TOO_MANY_REQUESTS', `a requester has more than ${max} ${what} waiting`)
  }
}

/** A requester took nothing for so long that its stream was ended. */
export class ReaderStalledError extends PotluckError {
  constructor(afterMs: number) {
    super('READER_STALLED', `a requester read nothing for ${afterMs} ms`)
  }
}

/** A peer broke the protocol: what it sent was not asked for, or cannot be meant. */
export class ProtocolBreachError extends PotluckError {
  constructor(reason: string, init: PotluckErrorInit = {}) {
    super('PROTOCOL_BREACH', `a peer broke the chunk protocol: ${reason}`, init)
  }
}

/** What no peer sends that keeps to the protocol. */
export const breachCodes: ReadonlySet<string> = new Set([
  'MALFORMED_MESSAGE',
  'MESSAGE_TOO_LARGE',
  'PROTOCOL_BREACH',
])

/** A descriptor does not hash to the bundle's name: its sender is to blame. */
export class WrongDescriptorError extends PotluckError {
  constructor(bundle: BundleId, got: string) {
    super('WRONG_DESCRIPTOR', `the descriptor of ${bundle} hashes to ${got}`)
  }
}

/** The swarm was stopped, or the download was given up. */
export class DownloadStoppedError extends PotluckError {
  constructor(bundle: BundleId, init: PotluckErrorInit = {}) {
    super('DOWNLOAD_STOPPED', `the download of bundle ${bundle} was stopped`, init)
  }
}
