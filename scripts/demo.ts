/**
 * `npm run demo`: the world comes in here (arguments, environment, signals, output). With `--json`
 * the story goes to stderr and stdout has the figures alone, written last.
 */
import { resolve } from 'node:path'
import { createScreen, readOptions, runDemo } from './demo/index.ts'
import { exitCodes } from './potluck/exit-codes.ts'
import { errorText, exitCodeOf } from './potluck/report-error.ts'

/** What is still open after the work is done; longer is a leak that we would rather see than hang. */
const drainMs = 2_000
/** npm hands on the Ctrl-C that the terminal has sent already; that is one wish, not two. */
const sameWishMs = 500

const stop = new AbortController()
const urgent = new AbortController()
let wishedMs: number | undefined
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    const nowMs = performance.now()
    if (wishedMs !== undefined && nowMs - wishedMs > sameWishMs) urgent.abort()
    wishedMs ??= nowMs
    stop.abort(new Error(`stopped by ${name}`))
  })
}
// Whoever read our output may have gone; what we started must be removed all the same.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

let isVerbose = false
try {
  const options = readOptions(process.argv.slice(2))
  isVerbose = options.verbose
  const { record, code } = await runDemo(options, {
    env: process.env,
    root: resolve(import.meta.dirname, '..'),
    screen: createScreen(options.json ? process.stderr : process.stdout),
    signal: stop.signal,
    urgent: urgent.signal,
  })
  process.exitCode = code
  if (options.json && !stop.signal.aborted) {
    process.stdout.write(`${JSON.stringify(record.figures)}\n`)
  }
} catch (error) {
  process.exitCode = exitCodeOf(error)
  const text = errorText(error, { verbose: isVerbose })
  if (text !== undefined) process.stderr.write(`${text}\n`)
}

setTimeout(() => {
  process.stderr.write(`demo: left open: ${process.getActiveResourcesInfo().join(', ')}\n`)
  process.exit(process.exitCode ?? exitCodes.failure)
}, drainMs).unref()
