/**
 * What a file of these tests needs of the machine. Where it is missing, its title says so and
 * nothing runs: a test that silently did less than it says would prove nothing.
 */
import { missingForEngines } from '../../scripts/dev/engine-need.ts'
import { findProgram, thisMachine } from '../../scripts/street/machine.ts'

type Suite = (this: Mocha.Suite) => void

/** With real engines, as root, and with the `programs` named besides. */
export function describeWithEngines(
  title: string,
  programs: readonly string[],
  suite: Suite,
): Mocha.Suite | undefined {
  const machine = thisMachine(process.env)
  const missing =
    missingForEngines(machine) ?? programs.find((program) => !findProgram(program, machine.path))
  return missing === undefined
    ? describe(title, suite)
    : (describe.skip(`${title} (skipped: needs ${missing})`, suite) as Mocha.Suite | undefined)
}
