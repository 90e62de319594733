/**
 * A process to be killed: the API over the store on disk. Prints its port and its key, then serves.
 * `node kill.fixture.ts FOLDER`
 */
import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { createLevelStore } from '../../protocol/store/index.ts'
import { startApi } from './api.fixture.ts'

const path = process.argv[2]
assert(path)
const { app, key } = await startApi({ store: await createLevelStore({ path }) })
await app.listen({ host: '127.0.0.1', port: 0 })
process.stdout.write(`${JSON.stringify({ ...(app.addresses()[0] as AddressInfo), key })}\n`)
