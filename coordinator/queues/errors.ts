/** What can be wrong with a request about a queue or a job; the API turns codes into statuses. */
import { PotluckError } from '../../protocol/errors.ts'

export class QueueNotFoundError extends PotluckError {
  constructor(name: string, project: string) {
    super(
      'QUEUE_NOT_FOUND',
      `queue ${JSON.stringify(name)}: project ${JSON.stringify(project)} has none of this name`,
      { fields: { name, project } },
    )
  }
}

/** Names are unique within a project. */
export class QueueNameTakenError extends PotluckError {
  constructor(name: string, project: string) {
    super(
      'QUEUE_NAME_TAKEN',
      `name: project ${JSON.stringify(project)} already has a queue ${JSON.stringify(name)}; choose another name, or PATCH or DELETE that one`,
      { fields: { name, project } },
    )
  }
}

/** More queues than a project may have. */
export class QueueQuotaError extends PotluckError {
  constructor(project: string, max: number) {
    super(
      'QUEUE_QUOTA_EXCEEDED',
      `project ${JSON.stringify(project)} has ${max} queues, as many as it may; delete one that is not used`,
      { fields: { project, max } },
    )
  }
}

export class QueueInUseError extends PotluckError {
  /** @param users `container group "a"` */
  constructor(name: string, users: readonly string[]) {
    const who = users.length > 0 ? users.slice(0, 5).join(', ') : 'a group that is being made'
    super(
      'QUEUE_IN_USE',
      `queue ${JSON.stringify(name)} serves ${who}; delete what uses it first, then the queue`,
      { fields: { name, users: users.length } },
    )
  }
}

/** As much is waiting or at work as a queue may hold. */
export class QueueFullError extends PotluckError {
  /** @param held `100000 jobs` */
  constructor(held: string, retryAfterS: number) {
    super(
      'QUEUE_FULL',
      `the queue holds ${held} that are not finished, as many as it may; try again when some are, or add replicas`,
      { fields: { held, retryAfterS } },
    )
  }
}

export class JobNotFoundError extends PotluckError {
  constructor(id: string) {
    super('JOB_NOT_FOUND', `job ${JSON.stringify(id.slice(0, 64))}: there is none of this id here`)
  }
}

/** Only what is not finished can be cancelled. */
export class JobFinishedError extends PotluckError {
  constructor(id: string, state: string) {
    super(
      'JOB_FINISHED',
      `job ${JSON.stringify(id)} has ${state}: it cannot be cancelled any more`,
      {
        fields: { id, state },
      },
    )
  }
}

export class PageTooLargeError extends PotluckError {
  constructor(pageSize: number, bytesMax: number) {
    super(
      'PAGE_TOO_LARGE',
      `page_size: the jobs of this page hold more than ${bytesMax} bytes; ask for fewer than ${pageSize} at once`,
      { fields: { pageSize, bytesMax } },
    )
  }
}
