/** The world as the commands see it, so that tests run them without a process of their own. */
import type { ExitCode } from './exit-codes.ts'
import type { ProcessEntry } from './process-module.ts'
import type { ProcessEvents } from './run-process.ts'

export type CliContext = {
  readonly env: Readonly<Record<string, string | undefined>>
  /** What was asked for. */
  readonly stdout: (text: string) => void
  /** The story. */
  readonly stderr: (text: string) => void
  readonly events: ProcessEvents
  readonly processes: readonly ProcessEntry[]
  /** Set by a command that ends without an error. */
  exitCode: ExitCode
}
