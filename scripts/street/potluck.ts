/**
 * Potluck's own processes on the street, as operators and chefs run them: their command, and the
 * lines by which it is seen that they are ready, so that nobody guesses how long a start takes.
 */
import { fileURLToPath } from 'node:url'
import { type Child, jsonLine, type Wait } from './child.ts'

const program = fileURLToPath(new URL('../potluck.ts', import.meta.url))

/** As scripts/bin/potluck starts a node: buffers that are looked at often do not pile up. */
const nodeFlags = ['--max-semi-space-size=2']

/** @param noun `coordinator`, `cache` or `node` @param config file with its settings */
export function potluckCommand(noun: string, config: string): readonly string[] {
  const flags = noun === 'node' ? nodeFlags : []
  return [process.execPath, ...flags, program, noun, 'run', '--config', config, '--json']
}

/** The line that `--json` prints when a process is ready. */
export async function ready(child: Child, wait: Wait): Promise<Record<string, unknown>> {
  return await child.waitFor((line) => {
    const found = jsonLine(line)
    return found && 'process' in found ? found : undefined
  }, wait)
}

/** The same line, once its hello brought what it has to offer and was welcomed. */
export async function connected(child: Child, wait: Wait): Promise<Record<string, unknown>> {
  const facts = await ready(child, wait)
  await child.waitFor(
    ({ text }) => text.includes('"connected to the coordinator"') || undefined,
    wait,
  )
  return facts
}
