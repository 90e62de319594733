/** The simulated engine against the common promises, and its times against a fake clock. */
import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { FakeClock, systemClock } from '../../protocol/clock.ts'
import { engineConformance, testSpec } from './engine.conformance.ts'
import type { ContainerSpec } from './engine.ts'
import { digestOf, fakeImage, startFakeEndpoint } from './fake-endpoint.ts'
import { createSimulatedEngine, type SimulatedProgram } from './simulated-engine.ts'

function program({ command: [verb, ...args] }: ContainerSpec): SimulatedProgram {
  switch (verb) {
    case 'exit':
      return { lines: [], exit: { afterMs: 5, code: Number(args[0]) } }
    case 'print':
      return { lines: args, exit: { afterMs: 5, code: 0 } }
    case 'stubborn':
      return { lines: [], isStubborn: true }
    default:
      return { lines: ['hello'] }
  }
}

engineConformance('the simulated engine', async () => {
  const layers = [randomBytes(100_000), randomBytes(1_000)]
  const times = { unpackMs: 1, startMs: 2, stopMs: 1 }
  const engine = createSimulatedEngine({ ...times, program }, { clock: systemClock })
  return {
    engine,
    image: fakeImage(layers),
    layer: digestOf(layers[0]!),
    commands: {
      forever: ['run'],
      stubborn: ['stubborn'],
      exit: (code) => ['exit', String(code)],
      print: (lines) => ['print', ...lines],
    },
    leftovers: async () => [],
    stop: () => engine.close(),
  }
})

describe('node/engine: the simulated engine’s times', () => {
  it('pretends a pull and a start, by the clock alone', async () => {
    const clock = new FakeClock()
    const engine = createSimulatedEngine({ pull: 'pretend' }, { clock })
    const endpoint = await startFakeEndpoint(fakeImage([]))
    await endpoint.close()
    const options = { signal: new AbortController().signal }
    const running = engine
      .pull(endpoint.source, options)
      .then(() => engine.run(testSpec(endpoint), options))
    await clock.advance(1_999)
    expect(await engine.list(options)).to.deep.equal([])
    await clock.advance(1)
    const { id, state } = await running
    expect(state).to.equal('running')
    expect(await engine.logTail(id, 9, options)).to.deep.equal([
      'potluck: line 1 of test, simulated',
    ])
    await engine.close()
  })
})
