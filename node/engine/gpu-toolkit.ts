/**
 * Whether the NVIDIA Container Toolkit of this machine may be used. It runs on the host as root
 * with a stranger's image before it, and has been the way out of containers more than once
 * (CVE-2024-0132 to 1.16.1, CVE-2025-23266 to 1.17.7): below a pinned version there is no GPU work.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { EngineError } from './errors.ts'

/**
 * The first without the escapes above. The page for CVE-2026-24260, a race of July 2026, names no
 * fixed version that we could confirm: an operator may raise this.
 */
export const minimumToolkitVersion = '1.17.8'

const run = promisify(execFile)
const probeTimeoutMs = 5_000

/** The toolkit's version as it prints it; undefined where there is none. */
export async function readToolkitVersion(): Promise<string | undefined> {
  for (const command of ['nvidia-ctk', 'nvidia-container-cli']) {
    try {
      const { stdout } = await run(command, ['--version'], { timeout: probeTimeoutMs })
      const version = parseToolkitVersion(stdout)
      if (version !== undefined) return version
    } catch {
      // Not installed, or too old to know the flag: the next command says.
    }
  }
  return undefined
}

/** `NVIDIA Container Toolkit CLI version 1.17.8` or `cli-version: 1.17.8`. */
export function parseToolkitVersion(printed: string): string | undefined {
  return /version:?\s+v?(\d+\.\d+\.\d+)/i.exec(printed)?.[1]
}

/** @throws {EngineError} GPU_UNAVAILABLE: missing or known vulnerable. */
export function requireToolkit(version: string | undefined, minimum: string): void {
  if (version === undefined) {
    throw new EngineError(
      'GPU_UNAVAILABLE',
      `the NVIDIA Container Toolkit is not installed; GPU work needs ${minimum} or newer`,
    )
  }
  if (compareVersions(version, minimum) >= 0) return
  throw new EngineError(
    'GPU_UNAVAILABLE',
    `NVIDIA Container Toolkit ${version} has known escapes; update it to ${minimum} or newer`,
    { fields: { version, minimum } },
  )
}

/** Compares dotted numbers; a missing part is 0. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number))
  for (let at = 0; at < 3; at++) {
    const difference = (left?.[at] ?? 0) - (right?.[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
