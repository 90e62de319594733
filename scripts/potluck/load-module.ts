/**
 * Loads a process's code when its command is given: `potluck --help` should not wait for libp2p.
 */
import { PotluckError } from '../../protocol/errors.ts'
import type { ProcessModule } from './process-module.ts'

/** `folder/index.ts` beside scripts/. @throws {PotluckError} it is not there, or is no process. */
export async function loadModule(folder: string): Promise<ProcessModule> {
  const url = new URL(`../../${folder}/index.ts`, import.meta.url)
  const module: unknown = await import(url.href).catch((cause: unknown) => {
    throw new PotluckError('PROCESS_NOT_LOADED', `${folder}/index.ts cannot be loaded`, { cause })
  })
  if (!isProcessModule(module)) {
    const message = `${folder}/index.ts does not export configSchema and run`
    throw new PotluckError('PROCESS_NOT_LOADED', message)
  }
  return module
}

function isProcessModule(module: unknown): module is ProcessModule {
  if (typeof module !== 'object' || module === null) return false
  return 'configSchema' in module && 'run' in module && typeof module.run === 'function'
}
