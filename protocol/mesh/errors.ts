/** What the mesh itself can refuse: adverts that do not belong to their sender, peers out of reach. */
import { PotluckError, type PotluckErrorInit } from '../errors.ts'

/** A message on a topic that says it is about another peer than its signed author. */
export class WrongAuthorError extends PotluckError {
  constructor(kind: string, author: string, claimed: string) {
    super(
      'WRONG_AUTHOR',
      `a ${kind} signed by ${author} speaks for ${claimed}; only its own counts`,
    )
  }
}

/** A peer could not be reached at any address within the deadline. */
export class PeerUnreachableError extends PotluckError {
  constructor(peer: string, addressCount: number, init: PotluckErrorInit = {}) {
    const where = addressCount === 0 ? 'no address is known' : `tried ${addressCount} addresses`
    super('PEER_UNREACHABLE', `peer ${peer} could not be reached: ${where}`, init)
  }
}
