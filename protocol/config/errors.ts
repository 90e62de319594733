/** All that is wrong with a configuration, told at once. */
import { PotluckError } from '../errors.ts'

export type ConfigProblem = Readonly<{
  /** As in the file, `api.port`; the file itself or `configuration` when no one key is at fault. */
  key: string
  /** `flag --api-port`, `env POTLUCK_NODE_API_PORT`, `file /etc/node.toml`. */
  source?: string
  /** What is wrong and what is valid; never the value of a secret. */
  message: string
}>

/** The configuration cannot be used. The message has one line a problem. */
export class ConfigError extends PotluckError {
  readonly problems: readonly ConfigProblem[]

  constructor(name: string, problems: readonly ConfigProblem[]) {
    const lines = problems.map(({ key, source, message }) => {
      return `  ${key}${source ? ` (${source})` : ''}: ${message}`
    })
    super('CONFIG_INVALID', [`the configuration of ${name} is not valid:`, ...lines].join('\n'), {
      fields: { name, problems: problems.length },
    })
    this.problems = problems
  }
}
