/** `potluck admin`: who runs a network, at work on a running coordinator. */
import { Command } from 'commander'
import type { CliContext } from '../cli-context.ts'
import { banCommands } from './bans.ts'
import { chefCommand, nodeCommand } from './chefs.ts'
import { keyCommand } from './keys.ts'
import { organizationCommand, projectCommand } from './organizations.ts'
import { userCommand } from './users.ts'

export function adminCommand(context: CliContext): Command {
  const admin = new Command('admin')
    .description('organizations, projects, users, keys, chefs and nodes of a running coordinator')
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  export POTLUCK_API=http://127.0.0.1:8080',
        '  export POTLUCK_ADMIN_KEY=$(cat coordinator/admin-key)',
        '  potluck admin organization create acme',
        '  potluck admin key create --organization acme > acme.key',
        '  potluck admin chef claim alice',
        '  potluck admin node ls',
        '',
        'Exit codes: 0 done, 1 refused, 2 wrong command line, 3 no coordinator.',
      ].join('\n'),
    )
  for (const noun of [
    organizationCommand,
    projectCommand,
    userCommand,
    keyCommand,
    chefCommand,
    nodeCommand,
  ]) {
    admin.addCommand(noun(context))
  }
  for (const command of banCommands(context)) admin.addCommand(command)
  return admin
}
