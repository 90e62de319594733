/** One schema a process: file, environment, flags, help and errors all come from it. */
export { ConfigError, type ConfigProblem } from './errors.ts'
export type { ConfigNames } from './fields.ts'
export {
  bitRate,
  byteSize,
  duration,
  multiaddr,
  path,
  port,
  type SettingInit,
  secret,
} from './kinds.ts'
export { type LoadConfigInit, loadConfig } from './load-config.ts'
export { addConfigOptions, configFlags } from './options.ts'
export { suggest } from './suggest.ts'
export {
  formatBitRate,
  formatByteSize,
  formatDuration,
  parseBitRate,
  parseByteSize,
  parseDurationMs,
  unlimitedBitsPerS,
} from './units.ts'
