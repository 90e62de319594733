/**
 * The logger of every process: JSON lines on stderr, because stdout is for what was asked for.
 * Every line passes {@link safeFields}; without it an env or a password ends up in a file forever.
 */
import { createRequire } from 'node:module'
import {
  type DestinationStream,
  destination as openDestination,
  type Logger as Pino,
  pino,
} from 'pino'
import { safeFields, safeText } from './safe-fields.ts'
import type { LogFields, Logger, LogLevel } from './types.ts'

export type LoggerInit = Readonly<{
  /** Lines below this level are not written. */
  level: LogLevel
  /** Which process speaks: `coordinator`, `node`. */
  name: string
  /** For people at a terminal. Falls back to JSON where pino-pretty is not installed. */
  pretty?: boolean
  /** Where lines go. Default: stderr, written at once, so that a crash loses none. */
  destination?: DestinationStream
}>

/** A logger that redacts secrets at any depth and writes errors as code, message chain, fields. */
export function createLogger({ level, name, pretty = false, destination }: LoggerInit): Logger {
  const stream = destination ?? openDestination({ dest: 2, sync: true })
  const root = pino(
    {
      level,
      base: { name, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: safeFields },
    },
    (pretty ? prettyStream(stream) : undefined) ?? stream,
  )
  return wrap(root)
}

function wrap(inner: Pino): Logger {
  const method = (level: LogLevel) => (fields: LogFields, message: string) => {
    if (inner.isLevelEnabled(level)) inner[level](fields, '%s', safeText(message))
  }
  return {
    // pino applies no formatter to a child's bindings, so they are made safe here.
    child: (bindings) => wrap(inner.child(safeFields(bindings))),
    trace: method('trace'),
    debug: method('debug'),
    info: method('info'),
    warn: method('warn'),
    error: method('error'),
  }
}

/** pino-pretty serves developers only and is not installed in production. */
function prettyStream(destination: DestinationStream): DestinationStream | undefined {
  try {
    const pretty = createRequire(import.meta.url)('pino-pretty')
    return pretty({ destination, ignore: 'pid', sync: true, translateTime: 'HH:MM:ss.l' })
  } catch {
    return undefined
  }
}
