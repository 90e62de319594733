/**
 * What the rest of Potluck knows of logging: a subset of pino's interface, so that a part never
 * imports pino, a test passes {@link silentLogger}, and a process may bring another logger.
 */

/** Facts about what happened. Values may be anything; errors are serialized, secrets redacted. */
export type LogFields = Readonly<Record<string, unknown>>

/** Writes one line: the message says what happened, the fields are the facts. */
export type LogMethod = (fields: LogFields, message: string) => void

/** `error` means that someone must act; `warn` that something is off and handled. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

export interface Logger {
  /** A logger whose every line carries `bindings` too (node, slot, epoch). */
  child(bindings: LogFields): Logger
  readonly trace: LogMethod
  readonly debug: LogMethod
  readonly info: LogMethod
  readonly warn: LogMethod
  readonly error: LogMethod
}

/** A logger that writes nothing. */
export const silentLogger: Logger = {
  child: () => silentLogger,
  trace: () => {},
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
}
