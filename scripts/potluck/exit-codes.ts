/** Stable: scripts and service managers rely on them. */
export const exitCodes = {
  ok: 0,
  /** The world was not as needed; the same command may work later. */
  failure: 1,
  /** The command line or the configuration is wrong; it will not work until it is changed. */
  usage: 2,
  /** No coordinator answers at the address that was tried. */
  unreachable: 3,
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]
