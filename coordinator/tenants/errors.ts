/** What can be wrong with tenants, their projects and keys. */
import { PotluckError } from '../../protocol/errors.ts'

/** No such organization, or not this caller's: the two must look the same from outside. */
export class OrganizationNotFoundError extends PotluckError {
  constructor(name: string) {
    super(
      'ORGANIZATION_NOT_FOUND',
      `organization ${JSON.stringify(name)}: this API key knows none of this name; check the name, or use that organization's key`,
      { fields: { name } },
    )
  }
}

export class ProjectNotFoundError extends PotluckError {
  constructor(name: string, organization: string) {
    super(
      'PROJECT_NOT_FOUND',
      `project ${JSON.stringify(name)}: organization ${JSON.stringify(organization)} has none of this name`,
      { fields: { name, organization } },
    )
  }
}

/** A name that the contract's pattern refuses, or one that is taken. */
export class TenantNameError extends PotluckError {
  constructor(kind: string, name: string, problem: string) {
    super('TENANT_NAME_INVALID', `${kind} ${JSON.stringify(name)}: ${problem}`, {
      fields: { kind, name },
    })
  }
}

/** A key, or a file with one, that cannot be used. Never holds the key. */
export class ApiKeyError extends PotluckError {
  constructor(problem: string, init: { readonly file?: string; readonly cause?: unknown } = {}) {
    const where = init.file ? `API key file ${init.file}` : 'API key'
    super('API_KEY_INVALID', `${where}: ${problem}`, {
      cause: init.cause,
      fields: { file: init.file },
    })
  }
}

/** The caller may know of it, and may not do this. */
export class ScopeMissingError extends PotluckError {
  constructor(problem: string) {
    super('SCOPE_MISSING', problem)
  }
}

export class NameTakenError extends PotluckError {
  constructor(kind: string, name: string) {
    super(
      'NAME_TAKEN',
      `${kind} ${JSON.stringify(name)}: there is one already; choose another name`,
      { fields: { kind, name } },
    )
  }
}

/** Something lives in what is to be deleted. */
export class TenantNotEmptyError extends PotluckError {
  constructor(kind: string, name: string, occupants: readonly string[]) {
    const inside = occupants.join(', ')
    super('NOT_EMPTY', `${kind} ${JSON.stringify(name)}: has ${inside}; delete that first`, {
      fields: { kind, name, inside },
    })
  }
}

export class UserNotFoundError extends PotluckError {
  constructor(name: string) {
    super('USER_NOT_FOUND', `user ${JSON.stringify(name)}: there is none of this name`, {
      fields: { name },
    })
  }
}

export class MemberNotFoundError extends PotluckError {
  constructor(user: string, organization: string) {
    super(
      'MEMBER_NOT_FOUND',
      `user ${JSON.stringify(user)}: is no member of organization ${JSON.stringify(organization)}`,
      { fields: { user, organization } },
    )
  }
}

export class KeyNotFoundError extends PotluckError {
  constructor(id: string) {
    super('KEY_NOT_FOUND', `API key ${JSON.stringify(id.slice(0, 64))}: there is none of this id`)
  }
}
