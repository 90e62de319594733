/** The binary with one process of its own, to be run by tests. `mode` says what it does wrong. */
import { createServer } from 'node:net'
import Type from 'typebox'
import { port } from '../../protocol/config/index.ts'
import type { CliContext } from './cli-context.ts'
import { main } from './main.ts'
import type { ProcessEntry } from './process-module.ts'

const configSchema = Type.Object({
  port: port({ description: 'Where it listens', default: 0 }),
  mode: Type.String({ description: 'What goes wrong', default: 'nothing' }),
})

export const pantryEntry: ProcessEntry = {
  name: 'pantry',
  summary: 'a process of the tests',
  examples: ['potluck pantry run --port 80'],
  load: async () => ({
    configSchema,
    async run(config, { signal, onReady }) {
      const mode = 'mode' in config ? config.mode : undefined
      if (mode === 'start') throw new Error('no flour', { cause: new Error('mice') })
      const server = createServer().listen(0, '127.0.0.1')
      onReady({ config })
      if (mode === 'fault') setImmediate(() => Promise.reject(new Error('nobody caught me')))
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      server.close()
    },
  }),
}

if (import.meta.main) {
  const context: CliContext = {
    env: process.env,
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
    events: process,
    processes: [pantryEntry],
    exitCode: 0,
  }
  process.exitCode = await main(process.argv.slice(2), context)
}
