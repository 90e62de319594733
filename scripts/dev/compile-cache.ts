/** Compiled code outlives a run, in the clone's own folder: the next start takes a third less. */
import { fileURLToPath } from 'node:url'

export const compileCache = fileURLToPath(new URL('../../.potluck/compile-cache', import.meta.url))
