/**
 * Everything that reads the code without running it, in one command: format and lint (Biome),
 * type-aware lint and docs (ESLint), types (tsc), unused code (knip), layers (dependency-cruiser).
 * Two run at a time; only what failed is printed, then one line each.
 *
 *     npm run check
 */
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { styleText } from 'node:util'
import pLimit from 'p-limit'

const root = resolve(import.meta.dirname, '..')

/** The slowest first. */
const checks: readonly (readonly [name: string, ...command: string[]])[] = [
  ['docs and promises', 'eslint', '.', '--max-warnings=0'],
  ['types', 'tsc', '--project', '.'],
  ['layers', 'node', 'scripts/check/layers.ts'],
  ['lock file', 'node', 'scripts/check/lock.ts'],
  ['unused code', 'knip', '--no-progress', '--no-config-hints'],
  ['format and lint', 'biome', 'ci', '--colors=off', '--error-on-warnings', '.'],
]

type Result = Readonly<{ name: string; passed: boolean; output: string; seconds: string }>

async function run([name, ...command]: (typeof checks)[number]): Promise<Result> {
  const startedMs = performance.now()
  const [file = '', ...args] = command
  const child = spawn(file, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PATH: [join(root, 'node_modules/.bin'), process.env.PATH].join(delimiter),
    },
  })
  const closed = new Promise<boolean>((done) => {
    child.once('error', () => done(false))
    child.once('close', (code) => done(code === 0))
  })
  const [passed, out, err] = await Promise.all([closed, text(child.stdout), text(child.stderr)])
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  return { name, passed, output: `${out}${err}`.trim(), seconds }
}

const limit = pLimit(Math.max(1, Math.min(availableParallelism(), checks.length)))
const results = await Promise.all(checks.map((check) => limit(() => run(check))))
for (const { name, passed, output } of results) {
  if (!passed) console.error(`\n${styleText('bold', name)}\n${output}\n`)
}
for (const { name, passed, seconds } of results) {
  const mark = passed ? styleText('green', '✔ passed') : styleText('red', '✘ FAILED')
  console.log(`${mark}  ${name} (${seconds} s)`)
}
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1
