/**
 * The one binary: `potluck NOUN VERB`. Here the real world comes in (arguments, environment,
 * signals, output); everything below gets it passed.
 */
import { cacheEntry } from './potluck/cache.ts'
import { coordinatorEntry } from './potluck/coordinator.ts'
import { exitCodes } from './potluck/exit-codes.ts'
import { main } from './potluck/main.ts'
import { nodeEntry } from './potluck/node.ts'

/** What is still open after the work is done; longer is a leak that we would rather see than hang. */
const drainMs = 2_000

// Whoever read our output may have gone; that is no reason to fall over.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

process.exitCode = await main(process.argv.slice(2), {
  env: process.env,
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
  events: process,
  processes: [coordinatorEntry, cacheEntry, nodeEntry],
  exitCode: exitCodes.ok,
})

setTimeout(() => {
  process.stderr.write(`potluck: left open: ${process.getActiveResourcesInfo().join(', ')}\n`)
  process.exit()
}, drainMs).unref()
