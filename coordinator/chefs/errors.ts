/** What can be wrong with chefs, their claim codes and nodes. Never holds a code. */
import { PotluckError } from '../../protocol/errors.ts'

export class ChefNotFoundError extends PotluckError {
  constructor(name: string) {
    const hint = '`potluck admin chef list` shows all'
    super('CHEF_NOT_FOUND', `chef ${JSON.stringify(name)}: there is none of this name; ${hint}`, {
      fields: { name },
    })
  }
}

export class ChefNameTakenError extends PotluckError {
  constructor(name: string) {
    super('CHEF_NAME_TAKEN', `chef ${JSON.stringify(name)}: there is one already; choose another`, {
      fields: { name },
    })
  }
}

/** Nodes are bound to the chef that is to be deleted. */
export class ChefHasNodesError extends PotluckError {
  constructor(name: string, count: number) {
    super(
      'CHEF_HAS_NODES',
      `chef ${JSON.stringify(name)}: ${count} ${count === 1 ? 'node is' : 'nodes are'} bound to it; release them first (potluck admin node release)`,
      { fields: { name, count } },
    )
  }
}

export class ClaimNotFoundError extends PotluckError {
  constructor(id: string) {
    super(
      'CLAIM_NOT_FOUND',
      `claim code ${JSON.stringify(id.slice(0, 64))}: this chef has none of this id; it was used, has run out or was taken back`,
    )
  }
}

export class TooManyClaimsError extends PotluckError {
  constructor(name: string, max: number) {
    super(
      'CLAIMS_TOO_MANY',
      `chef ${JSON.stringify(name)}: ${max} claim codes wait to be used, as many as may; take some back or let them run out`,
      { fields: { name, max } },
    )
  }
}

export class NodeNotClaimedError extends PotluckError {
  constructor(node: string) {
    super(
      'NODE_NOT_CLAIMED',
      `node ${JSON.stringify(node.slice(0, 64))}: it belongs to no chef; \`potluck admin node list\` shows all`,
    )
  }
}

/** A claim that a node made and that fails; code and message go to the node. */
export class ClaimRefusedError extends PotluckError {
  constructor(
    code: 'CLAIM_CODE_INVALID' | 'CLAIM_RATE_LIMITED' | 'CLAIM_UNDER_WAY' | 'NODE_CLAIMED',
    message: string,
  ) {
    super(code, message)
  }
}
