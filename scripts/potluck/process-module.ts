/**
 * What a process folder's `index.ts` exports to be run by the binary: its settings and one function.
 * The binary brings what every process needs alike (configuration, logger, signals); the process
 * never touches `process.*`, so that a test can run it inside itself.
 */
import type { Command } from 'commander'
import type { Static, TObject } from 'typebox'
import type { ConfigProblem } from '../../protocol/config/index.ts'
import type { Logger } from '../../protocol/log/index.ts'

/** Facts for whoever started it: addresses, ids, URLs. Printed as one JSON line by `--json`. */
export type ReadyInfo = Readonly<Record<string, unknown>>

export type RunContext = Readonly<{
  /** Aborted on SIGTERM and SIGINT: stop cleanly, then resolve. */
  signal: AbortSignal
  logger: Logger
  /** Call once, when it does its work. */
  onReady: (info: ReadyInfo) => void
  /** Calls `listener` with settings of the module's own schema when they were read again (SIGHUP). */
  onReload: (listener: (config: never) => void) => void
}>

export interface ProcessModule<S extends TObject = TObject> {
  readonly configSchema: S
  /** Resolves when it has stopped: all closed, nothing left running. Rejects when it failed. */
  run(config: Static<S>, context: RunContext): Promise<void>
  /** What no schema says of the settings. */
  checkConfig?(config: Static<S>): readonly ConfigProblem[]
}

/** Where a command puts what was asked for. */
export type CommandOutput = Readonly<{ stdout: (text: string) => void }>

/** One `potluck NOUN run`. */
export type ProcessEntry = Readonly<{
  /** First word of the command, and of its environment variables: `POTLUCK_NODE_…`. */
  name: string
  summary: string
  /** Below the options in `--help`. */
  examples: readonly string[]
  load: () => Promise<ProcessModule>
  /** Other commands of the noun, beside `run`. */
  commands?: (io: CommandOutput) => Promise<readonly Command[]>
}>
