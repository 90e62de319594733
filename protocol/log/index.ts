/** Structured logs of every process, and the interface that parts take as a component. */
export { createLogger, type LoggerInit } from './create-logger.ts'
export { redacted, safeText } from './safe-fields.ts'
export {
  type LogFields,
  type Logger,
  type LogLevel,
  type LogMethod,
  logLevels,
  silentLogger,
} from './types.ts'
