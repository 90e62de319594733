/** What can go wrong with the testbed itself, apart from what the tests look for. */
import { PotluckError } from '../../protocol/errors.ts'

/** A command of the system (`ip`, `nsenter`, `debootstrap` …) failed; `message` has its stderr. */
export class CommandError extends PotluckError {
  constructor(command: readonly string[], reason: string, stderr: string) {
    const tail = stderr.trim().split('\n').slice(-8).join('\n')
    super('COMMAND_FAILED', `${command.join(' ')}: ${reason}${tail ? `\n${tail}` : ''}`, {
      fields: { command: command[0], reason },
    })
  }
}

/** A child ended, or its deadline passed, before it said that it was ready. */
export class NotReadyError extends PotluckError {
  constructor(name: string, reason: string, logTail: string) {
    super('NOT_READY', `${name}: ${reason}${logTail ? `; its last lines:\n${logTail}` : ''}`, {
      fields: { name, reason },
    })
  }
}
