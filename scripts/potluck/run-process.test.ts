import { EventEmitter } from 'node:events'
import { mock } from 'node:test'
import { expect } from 'chai'
import Type from 'typebox'
import { createLogger, type Logger } from '../../protocol/log/index.ts'
import type { RunContext } from './process-module.ts'
import { runProcess } from './run-process.ts'

function setUp(run: (context: RunContext) => Promise<void>, reload?: () => object) {
  let output = ''
  const destination = {
    write(line: string) {
      output += line
    },
  }
  const logger: Logger = createLogger({ level: 'trace', name: 'test', destination })
  const emitter = new EventEmitter()
  const exits: number[] = []
  const events = Object.assign(emitter, {
    exit(code: number) {
      exits.push(code)
    },
  })
  const module = {
    configSchema: Type.Object({}),
    run: (_config: object, context: RunContext) => run(context),
  }
  const running = runProcess({
    ...{ module, config: {}, logger, events, onReady: () => {} },
    ...(reload ? { reload } : {}),
  })
  return { emitter, exits, running, output: () => output }
}

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))

describe('scripts/potluck: runProcess', () => {
  for (const name of ['SIGTERM', 'SIGINT']) {
    it(`stops cleanly on ${name} and leaves no listener`, async () => {
      const { emitter, exits, running } = setUp(({ signal }) => untilAborted(signal))
      emitter.emit(name, name)
      expect(await running).to.equal(0)
      expect(exits).to.deep.equal([])
      expect(emitter.eventNames()).to.deep.equal([])
    })
  }

  it('reads the settings again on SIGHUP, and keeps the old ones where the new are wrong', async () => {
    const heard: object[] = []
    let settings: object | undefined = { rate: 1 }
    const { emitter, running, output } = setUp(
      async ({ signal, onReload }) => {
        onReload((config) => heard.push(config))
        await untilAborted(signal)
      },
      () => {
        if (!settings) throw new Error('line 3 is not valid')
        return settings
      },
    )
    emitter.emit('SIGHUP', 'SIGHUP')
    settings = undefined
    emitter.emit('SIGHUP', 'SIGHUP')
    expect(heard).to.deep.equal([{ rate: 1 }])
    expect(output()).to.contain('line 3 is not valid')
    emitter.emit('SIGTERM', 'SIGTERM')
    expect(await running).to.equal(0)
  })

  it('stops on SIGHUP where no file could have changed', async () => {
    const { emitter, running } = setUp(({ signal }) => untilAborted(signal))
    emitter.emit('SIGHUP', 'SIGHUP')
    expect(await running).to.equal(0)
  })

  it('counts a run that ends with the abort itself as a clean stop', async () => {
    const { emitter, running } = setUp(async ({ signal }) => {
      await untilAborted(signal)
      signal.throwIfAborted()
    })
    emitter.emit('SIGTERM', 'SIGTERM')
    expect(await running).to.equal(0)
  })

  it('ends at once on a second signal', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { emitter, exits, running } = setUp(() => promise)
    emitter.emit('SIGTERM', 'SIGTERM')
    expect(exits).to.deep.equal([])
    emitter.emit('SIGINT', 'SIGINT')
    expect(exits).to.deep.equal([1])
    resolve()
    await running
  })

  it('takes the same signal twice in a moment for one wish', async () => {
    const { emitter, exits, running } = setUp(({ signal }) => untilAborted(signal))
    emitter.emit('SIGTERM', 'SIGTERM')
    emitter.emit('SIGTERM', 'SIGTERM')
    expect(await running).to.equal(0)
    expect(exits).to.deep.equal([])
  })

  it('stops and fails on a fault that nothing caught, and logs it once more if there is another', async () => {
    for (const event of ['uncaughtException', 'unhandledRejection']) {
      const { emitter, running, output } = setUp(({ signal }) => untilAborted(signal))
      emitter.emit(event, new Error('bug one'))
      emitter.emit(event, new Error('bug two'))
      expect(await running).to.equal(1)
      expect(output()).to.contain('bug one').and.contain('bug two')
    }
  })

  it('rejects with what made the start fail', async () => {
    const { running } = setUp(async () => {
      throw new Error('port 80 in use')
    })
    const error = await running.then(
      () => expect.fail('should reject'),
      (reason: Error) => reason,
    )
    expect(error.message).to.equal('port 80 in use')
  })

  it('logs and fails when it breaks after it was ready, or while it stops', async () => {
    const broken = setUp(async ({ onReady }) => {
      onReady({})
      throw new Error('disk gone')
    })
    expect(await broken.running).to.equal(1)
    expect(broken.output()).to.contain('disk gone')
    const stopping = setUp(async ({ signal }) => {
      await untilAborted(signal)
      throw new Error('flush failed')
    })
    stopping.emitter.emit('SIGTERM', 'SIGTERM')
    expect(await stopping.running).to.equal(1)
    expect(stopping.output()).to.contain('flush failed')
  })

  it('ends at once what does not stop: 30 s after a signal, 5 s after the first fault', async () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      for (const [event, ms] of [
        ['SIGTERM', 30_000],
        ['uncaughtException', 5_000],
      ] as const) {
        const { promise, resolve } = Promise.withResolvers<void>()
        const { emitter, exits, running, output } = setUp(() => promise)
        emitter.emit(event, event)
        mock.timers.tick(ms - 1)
        // Faults that keep coming must not put the end off.
        if (event === 'uncaughtException') emitter.emit(event, new Error('again'))
        expect(exits, event).to.deep.equal([])
        mock.timers.tick(1)
        expect(exits, event).to.deep.equal([1])
        expect(output()).to.contain('did not stop in time')
        resolve()
        await running
      }
    } finally {
      mock.timers.reset()
    }
  })
})
