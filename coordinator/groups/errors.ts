/** What can be wrong with a request about a container group; the API turns codes into statuses. */
import { PotluckError } from '../../protocol/errors.ts'

/** No such group in this project. */
export class GroupNotFoundError extends PotluckError {
  constructor(name: string, project: string) {
    super(
      'GROUP_NOT_FOUND',
      `container group ${JSON.stringify(name)}: project ${JSON.stringify(project)} has none of this name`,
      { fields: { name, project } },
    )
  }
}

/** Names are unique within a project. */
export class GroupNameTakenError extends PotluckError {
  constructor(name: string, project: string) {
    super(
      'GROUP_NAME_TAKEN',
      `name: project ${JSON.stringify(project)} already has a container group ${JSON.stringify(name)}; choose another name, or PATCH or DELETE that one`,
      { fields: { name, project } },
    )
  }
}

/** The organization would have more replicas than the operator allows it. */
export class QuotaExceededError extends PotluckError {
  constructor(wanted: number, used: number, quota: number) {
    super(
      'QUOTA_EXCEEDED',
      `replicas: ${wanted} more than the ${used} in use would pass the organization's quota of ${quota}; scale in or delete other groups, or ask the operator for more`,
      { fields: { wanted, used, quota } },
    )
  }
}

/** It ended, or lost its slot, before what was asked of it could be done. */
export class InstanceGoneError extends PotluckError {
  constructor(id: string) {
    super(
      'INSTANCE_GONE',
      `instance ${JSON.stringify(id)} is not its slot's any more; list the group's instances again`,
      {
        fields: { id },
      },
    )
  }
}

/** Its node is not connected, or cannot take an order now. */
export class InstanceUnreachableError extends PotluckError {
  constructor(id: string) {
    super(
      'INSTANCE_UNREACHABLE',
      `instance ${JSON.stringify(id)}: its node cannot take an order now; try again, or reallocate the instance`,
      { fields: { id } },
    )
  }
}
