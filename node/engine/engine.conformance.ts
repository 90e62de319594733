/** What every engine promises, run on the simulated one and on Docker. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { errorCode } from '../../protocol/errors.ts'
import {
  type Epoch,
  type GroupId,
  type InstanceId,
  type PeerId,
  slotId,
  type Term,
} from '../../protocol/ids.ts'
import type { ContainerSpec, Engine, ObservedContainer } from './engine.ts'
import { fakeArchive } from './fake-archive.ts'
import { type FakeEndpoint, type FakeImage, startFakeEndpoint } from './fake-endpoint.ts'

/** Docker has removed it by then, or never does. */
const leftoversMs = 10_000

export type EngineHarness = Readonly<{
  engine: Engine
  image: FakeImage
  /** Digest of a layer that is big enough to stall in the middle of. */
  layer: string
  commands: Readonly<{
    /** Runs until SIGTERM, and prints one line. */
    forever: readonly string[]
    /** Runs on through SIGTERM. */
    stubborn: readonly string[]
    exit(code: number): readonly string[]
    print(lines: readonly string[]): readonly string[]
  }>
  /** Whatever the engine keeps besides containers and images; must be empty after each test. */
  leftovers(): Promise<readonly string[]>
  stop(): Promise<void>
}>

export const testNode = '12D3KooWTestNodeOfConformance' as PeerId

/** A small container that nothing is special about. */
export function testSpec(
  endpoint: Pick<FakeEndpoint, 'image' | 'source'>,
  change: Partial<ContainerSpec> = {},
): ContainerSpec {
  const instance = randomUUID() as InstanceId
  return {
    node: testNode,
    slot: slotId(randomUUID() as GroupId, 0),
    term: 1 as Term,
    epoch: 1 as Epoch,
    instance,
    image: endpoint.image,
    reference: endpoint.source.reference,
    command: [],
    env: {},
    hostname: 'test',
    limits: {
      milliCpus: 500,
      memoryBytes: 64 << 20,
      storageBytes: 64 << 20,
      shmBytes: 1 << 20,
      gpuUuids: [],
    },
    ...change,
  }
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error: unknown) => errorCode(error) ?? String(error),
  )
}

export function engineConformance(name: string, setUp: () => Promise<EngineHarness>): void {
  describe(`${name} as an engine`, () => {
    let harness: EngineHarness
    let engine: Engine
    let endpoint: FakeEndpoint
    const { signal } = new AbortController()
    const options = { signal }

    before(async () => {
      harness = await setUp()
      engine = harness.engine
    })
    after(() => harness?.stop())
    beforeEach(async () => {
      endpoint = await startFakeEndpoint(harness.image)
    })
    afterEach(async () => {
      for (const { id } of await engine.list(options)) {
        await engine.remove(id, { graceMs: 0, signal })
      }
      await engine.removeImage(endpoint.image, options)
      await endpoint.close()
      expect(await engine.list(options)).to.deep.equal([])
      expect(await engine.images(options)).to.deep.equal([])
      expect(await leftoversAtLast()).to.deep.equal([])
    })

    /** Docker answers a load that fails, and removes its own temporary folder then. */
    async function leftoversAtLast(): Promise<readonly string[]> {
      const untilMs = performance.now() + leftoversMs
      for (;;) {
        const left = await harness.leftovers()
        if (left.length === 0 || performance.now() > untilMs) return left
        await sleep(50)
      }
    }

    async function started(change: Partial<ContainerSpec> = {}): Promise<ObservedContainer> {
      await engine.pull(endpoint.source, options)
      const command = change.command ?? harness.commands.forever
      return engine.run(testSpec(endpoint, { ...change, command }), options)
    }

    it('says what it is', async () => {
      const info = await engine.info(options)
      expect(info.versions.engine).to.match(/\S/)
      expect(info.nofileMax).to.be.greaterThan(0)
    })

    it('pulls every blob with the password, and tells of each layer', async () => {
      const seen: number[] = []
      await engine.pull(endpoint.source, {
        signal,
        onProgress: ({ layersDone, layersTotal }) => seen.push(layersDone / layersTotal),
      })
      expect(await engine.images(options)).to.deep.equal([endpoint.image])
      const read = new Set(endpoint.reads.map((url) => url.slice(url.lastIndexOf('/') + 1)))
      expect(read).to.include.all.keys(endpoint.image, ...harness.image.blobs.keys())
      expect(seen.at(-1)).to.equal(1)
    })

    it('fails a pull with another password, and does not tell it', async () => {
      const source = { ...endpoint.source, password: 'CANARY-wrong' }
      const failure = await engine.pull(source, options).catch((error: unknown) => error)
      expect(errorCode(failure)).to.equal('PULL_FAILED')
      expect(JSON.stringify([String(failure), failure])).not.to.contain('CANARY')
    })

    it('fails a pull of wrong bytes and keeps nothing', async () => {
      endpoint.spoil(harness.layer, 'corrupt')
      expect(await codeOf(engine.pull(endpoint.source, options))).to.equal('PULL_FAILED')
    })

    it('ends a stalled pull by the signal, keeps nothing, and can pull again', async () => {
      endpoint.spoil(harness.layer, 'stall')
      const cancel = new AbortController()
      const pull = engine.pull(endpoint.source, { signal: cancel.signal })
      const ended = pull.then(
        () => 'pulled',
        (error: unknown) => error,
      )
      await endpoint.stalled
      const reason = new Error('no longer wanted')
      cancel.abort(reason)
      expect(await ended).to.equal(reason)
      expect(await engine.images(options)).to.deep.equal([])
    })

    it('says how images get in', async () => {
      expect(await engine.imageTransfer(options)).to.be.oneOf(['pull', 'load'])
    })

    it('runs an image that was loaded, under the digest of its manifest', async () => {
      const archive = fakeArchive(harness.image)
      const seen: number[] = []
      const reference = await engine.load(archive, {
        signal,
        onProgress: ({ layersDone, layersTotal }) => seen.push(layersDone / layersTotal),
      })
      expect(seen.at(-1)).to.equal(1)
      expect(seen).to.deep.equal(seen.toSorted((a, b) => a - b))
      expect(await engine.images(options)).to.deep.equal([archive.image])
      const command = harness.commands.forever
      const container = await engine.run(testSpec(endpoint, { reference, command }), options)
      expect(container).to.include({ state: 'running', image: archive.image })
      await engine.removeImage(archive.image, options)
      expect(await engine.images(options)).to.deep.equal([archive.image])
    })

    for (const how of ['corrupt', 'cut', 'missing'] as const) {
      it(`fails a load of ${how} bytes and keeps nothing`, async () => {
        const archive = fakeArchive(harness.image)
        archive.spoil(harness.layer, how)
        expect(await codeOf(engine.load(archive, options))).to.equal('LOAD_FAILED')
        expect(await engine.images(options)).to.deep.equal([])
      })
    }

    it('ends a stalled load by the signal, keeps nothing, and can load again', async () => {
      const stalling = fakeArchive(harness.image)
      stalling.spoil(harness.layer, 'stall')
      const cancel = new AbortController()
      const ended = engine.load(stalling, { signal: cancel.signal }).then(
        () => 'loaded',
        (error: unknown) => error,
      )
      await stalling.stalled
      const reason = new Error('no longer wanted')
      cancel.abort(reason)
      expect(await ended).to.equal(reason)
      expect(await engine.images(options)).to.deep.equal([])
      await engine.load(fakeArchive(harness.image), options)
    })

    it('runs a container and tells who it is', async () => {
      await engine.pull(endpoint.source, options)
      const spec = testSpec(endpoint, { command: harness.commands.forever, epoch: 7 as Epoch })
      const container = await engine.run(spec, options)
      const { slot, term, epoch, instance, image } = spec
      const expected = { slot, term, epoch, instance, image, state: 'running', oomKilled: false }
      expect(container).to.deep.include(expected)
      expect(await engine.list(options)).to.deep.equal([container])
      expect((await engine.usage(container.id, options)).storageBytes).to.be.within(0, 1 << 20)
    })

    it('adopts the container when the same order is run again', async () => {
      await engine.pull(endpoint.source, options)
      const spec = testSpec(endpoint, { command: harness.commands.forever })
      const first = await engine.run(spec, options)
      expect((await engine.run(spec, options)).id).to.equal(first.id)
      expect(await engine.list(options)).to.have.length(1)
    })

    it('refuses the same instance under another fence', async () => {
      await engine.pull(endpoint.source, options)
      const spec = testSpec(endpoint, { command: harness.commands.forever })
      const first = await engine.run(spec, options)
      const other = engine.run({ ...spec, epoch: 2 as Epoch }, options)
      expect(await codeOf(other)).to.equal('CONTAINER_CONFLICT')
      expect(await engine.list(options)).to.deep.equal([first])
    })

    it('does not run what was not pulled', async () => {
      expect(await codeOf(engine.run(testSpec(endpoint), options))).to.equal('IMAGE_MISSING')
    })

    it('tells the exit code to who waits, and in the list', async () => {
      const { id } = await started({ command: harness.commands.exit(3) })
      expect(await engine.waitExit(id, options)).to.deep.equal({ exitCode: 3 })
      const [container] = await engine.list(options)
      expect(container).to.include({ state: 'exited', exitCode: 3, oomKilled: false })
    })

    it('stops waiting for an exit by the signal', async () => {
      const { id } = await started()
      const reason = new Error('no longer wanted')
      const failure = engine.waitExit(id, { signal: AbortSignal.abort(reason) })
      expect(await failure.catch((error: unknown) => error)).to.equal(reason)
    })

    it('wakes who waits when the container is removed', async () => {
      const { id } = await started()
      const exit = engine.waitExit(id, options)
      await engine.remove(id, { graceMs: 10_000, signal })
      expect((await exit).exitCode).to.be.oneOf([0, 143])
    })

    it('kills what does not heed SIGTERM, after the grace', async () => {
      const { id } = await started({ command: harness.commands.stubborn })
      const exit = engine.waitExit(id, options)
      await engine.remove(id, { graceMs: 1_000, signal })
      expect(await exit).to.deep.equal({ exitCode: 137 })
    })

    it('gives the last lines of the log, oldest first', async () => {
      const lines = ['one', 'two', 'three']
      const { id } = await started({ command: harness.commands.print(lines) })
      await engine.waitExit(id, options)
      expect(await engine.logTail(id, 2, options)).to.deep.equal(['two', 'three'])
      expect(await engine.logTail(id, 100, options)).to.deep.equal(lines)
    })

    it('starts an exited container again in place', async () => {
      const { id } = await started({ command: harness.commands.exit(1) })
      await engine.waitExit(id, options)
      expect((await engine.restart(id, options)).id).to.equal(id)
      expect(await engine.waitExit(id, options)).to.deep.equal({ exitCode: 1 })
    })

    it('stops a container that runs, and starts the same one again', async () => {
      const { id } = await started()
      const exit = engine.waitExit(id, options)
      await engine.stop(id, { graceMs: 10_000, signal })
      expect((await exit).exitCode).to.be.oneOf([0, 143])
      await engine.stop(id, { graceMs: 10_000, signal })
      const again = await engine.restart(id, options)
      expect(again).to.include({ id, state: 'running' })
    })

    it('removes twice without complaint, and knows no container afterwards', async () => {
      const { id } = await started()
      await engine.remove(id, { graceMs: 0, signal })
      await engine.remove(id, { graceMs: 0, signal })
      expect(await codeOf(engine.waitExit(id, options))).to.equal('CONTAINER_GONE')
      expect(await codeOf(engine.usage(id, options))).to.equal('CONTAINER_GONE')
      expect(await codeOf(engine.logTail(id, 1, options))).to.equal('CONTAINER_GONE')
      expect(await codeOf(engine.restart(id, options))).to.equal('CONTAINER_GONE')
      const stopping = engine.stop(id, { graceMs: 1_000, signal })
      expect(await codeOf(stopping)).to.equal('CONTAINER_GONE')
    })

    it('keeps an image that a container uses', async () => {
      await started()
      await engine.removeImage(endpoint.image, options)
      expect(await engine.images(options)).to.deep.equal([endpoint.image])
    })

    it('refuses GPU work where the toolkit is missing', async () => {
      await engine.pull(endpoint.source, options)
      const { limits } = testSpec(endpoint)
      const spec = testSpec(endpoint, { limits: { ...limits, gpuUuids: ['GPU-1'] } })
      expect(await codeOf(engine.run(spec, options))).to.equal('GPU_UNAVAILABLE')
    })
  })
}
