/**
 * A process to be killed: writes records with many at once, and tells on stdout, unbuffered, which
 * were acknowledged. `node kill.fixture.ts FOLDER FIRST`
 */
import assert from 'node:assert/strict'
import { writeSync } from 'node:fs'
import { createLevelStore } from './index.ts'

const [path, first] = process.argv.slice(2)
assert(path && first)
const store = await createLevelStore({ path })
let next = Number(first)

async function write(): Promise<never> {
  for (;;) {
    const number = next++
    const key = `n/${String(number).padStart(9, '0')}`
    // Two records in one batch: never one without the other.
    await store.batch([
      { type: 'put', key, value: { number, padding: 'x'.repeat(number % 500) } },
      { type: 'put', key: `twin/${key}`, value: number },
    ])
    writeSync(1, `${number}\n`)
  }
}

await Promise.all(Array.from({ length: 32 }, write))
