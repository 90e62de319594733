/**
 * What a file of these tests needs of the machine. Where it is missing, its title says so and
 * nothing runs: a test that silently did less than it says would prove nothing.
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { missingForEngines } from '../../scripts/dev/engine-need.ts'

type Suite = (this: Mocha.Suite) => void

/** With real engines, as root, and with the `programs` named besides. */
export function describeWithEngines(
  title: string,
  programs: readonly string[],
  suite: Suite,
): Mocha.Suite | undefined {
  const path = process.env.PATH ?? ''
  const machine = { platform: process.platform, uid: process.getuid?.(), path }
  const missing = missingForEngines(machine) ?? missingProgram(programs, path)
  return missing === undefined
    ? describe(title, suite)
    : (describe.skip(`${title} (skipped: needs ${missing})`, suite) as Mocha.Suite | undefined)
}

function missingProgram(programs: readonly string[], path: string): string | undefined {
  return programs.find(
    (program) => !path.split(delimiter).some((at) => isProgram(join(at, program))),
  )
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
