/**
 * The engine that is none: it keeps every promise of the interface in memory, with believable
 * times, so that whole networks run in one process and API clients are written without Docker. What
 * it cannot show (confinement, isolation, Docker's own bugs), only Docker can.
 */
import type { Clock } from '../../protocol/clock.ts'
import type { Digest } from '../../protocol/ids.ts'
import type {
  ContainerSpec,
  Engine,
  EngineInfo,
  EngineWait,
  ImageTransfer,
  ObservedContainer,
} from './engine.ts'
import { EngineError } from './errors.ts'
import { minimumToolkitVersion, requireToolkit } from './gpu-toolkit.ts'
import { takeArchive } from './simulated-load.ts'
import { fetchImage } from './simulated-pull.ts'
import { filterTenantEnv } from './tenant-env.ts'

/** What a container's program does once started. */
export type SimulatedProgram = Readonly<{
  lines: readonly string[]
  /** Ends by itself after `afterMs`; absent for one that runs until it is stopped. */
  exit?: Readonly<{ afterMs: number; code: number }>
  /** Does not heed SIGTERM. */
  isStubborn?: boolean
}>

export type SimulatedEngineInit = Readonly<{
  /** `fetch`: really reads the endpoint. `pretend`: only takes time. */
  pull?: 'fetch' | 'pretend'
  /** `load` plays an engine that cannot reach the loopback. */
  transfer?: ImageTransfer
  /** Believable on an ordinary PC with a warm disk. */
  pullMs?: number
  unpackMs?: number
  startMs?: number
  /** Of a well-behaved program, from SIGTERM to its end. */
  stopMs?: number
  /** None by default: a simulated node has no GPU unless told so. */
  nvidiaToolkit?: string
  program?: (spec: ContainerSpec) => SimulatedProgram
}>

export type SimulatedEngineComponents = Readonly<{ clock: Clock }>

/** More than a test ever looks at; a crash loop must not fill memory. */
const linesMax = 1_000
const usageBytes = 64 << 10

type Container = {
  readonly spec: ContainerSpec
  readonly id: string
  readonly lines: string[]
  state: 'running' | 'exited'
  exitCode: number
  run: number
  ended: PromiseWithResolvers<void>
}

export function createSimulatedEngine(
  init: SimulatedEngineInit,
  { clock }: SimulatedEngineComponents,
): Engine {
  const {
    pull = 'fetch',
    transfer = 'pull',
    pullMs = 1_500,
    unpackMs = 200,
    startMs = 300,
    stopMs = 50,
  } = init
  const program = init.program ?? defaultProgram
  const containers = new Map<string, Container>()
  const images = new Set<Digest>()
  let counter = 0

  function get(id: string): Container {
    const container = containers.get(id)
    if (container) return container
    throw new EngineError('CONTAINER_GONE', `this node has no container ${id}`)
  }

  function end(container: Container, exitCode: number): void {
    if (container.state === 'exited') return
    container.state = 'exited'
    container.exitCode = exitCode
    container.ended.resolve()
  }

  /** Lets the program live its life in the background; a restart or removal outdates it. */
  function begin(container: Container): void {
    const { lines, exit } = program(container.spec)
    container.state = 'running'
    container.ended = Promise.withResolvers()
    const run = ++container.run
    container.lines.push(...lines)
    container.lines.splice(0, container.lines.length - linesMax)
    if (!exit) return
    const over = new AbortController()
    void container.ended.promise.then(() => over.abort())
    clock.sleep(exit.afterMs, { signal: over.signal }).then(
      () => {
        if (container.run === run) end(container, exit.code)
      },
      () => {}, // Stopped from outside first.
    )
  }

  async function stop(
    container: Container,
    { graceMs, signal }: EngineWait & { readonly graceMs: number },
  ): Promise<void> {
    if (container.state !== 'running') return
    const isStubborn = program(container.spec).isStubborn === true
    await clock.sleep(isStubborn ? graceMs : Math.min(stopMs, graceMs), { signal })
    end(container, isStubborn || graceMs === 0 ? 137 : 143)
  }

  async function run(spec: ContainerSpec, { signal }: EngineWait): Promise<ObservedContainer> {
    const existing = [...containers.values()].find((it) => it.spec.instance === spec.instance)
    if (existing) return adopt(existing, spec)
    checkSpec(spec, images, init.nvidiaToolkit)
    await clock.sleep(startMs, { signal })
    const raced = [...containers.values()].find((it) => it.spec.instance === spec.instance)
    if (raced) return adopt(raced, spec)
    const container: Container = {
      spec,
      id: `simulated-${++counter}`,
      lines: [],
      state: 'running',
      exitCode: 0,
      run: 0,
      ended: Promise.withResolvers(),
    }
    containers.set(container.id, container)
    begin(container)
    return observe(container)
  }

  return {
    async info({ signal }): Promise<EngineInfo> {
      signal.throwIfAborted()
      const { nvidiaToolkit } = init
      const versions = { engine: 'simulated', kernel: 'simulated' }
      return {
        kind: 'simulated',
        managed: true,
        versions: nvidiaToolkit === undefined ? versions : { ...versions, nvidiaToolkit },
        storageQuota: 'watched',
        nofileMax: 4096,
      }
    },
    async pull(source, options) {
      const { signal, onProgress } = options
      signal.throwIfAborted()
      if (pull === 'fetch') await fetchImage(source, options)
      else await clock.sleep(pullMs, { signal })
      await clock.sleep(unpackMs, { signal })
      if (pull === 'pretend') onProgress?.({ layersTotal: 1, layersDone: 1 })
      images.add(source.reference.slice(source.reference.lastIndexOf('@') + 1) as Digest)
    },
    imageTransfer: async () => transfer,
    async load(archive, options) {
      const reference = `simulated/bundle:${archive.image.replace(':', '-')}`
      await takeArchive(archive, { ...options, reference })
      await clock.sleep(unpackMs, { signal: options.signal })
      images.add(archive.image)
      return reference
    },
    run,
    async list({ signal }) {
      signal.throwIfAborted()
      return [...containers.values()].map(observe)
    },
    async waitExit(id, { signal }) {
      const container = get(id)
      await unlessAborted(container.ended.promise, signal)
      return { exitCode: container.exitCode }
    },
    async usage(id) {
      get(id)
      return { storageBytes: usageBytes }
    },
    async logTail(id, lines) {
      return lines > 0 ? get(id).lines.slice(-lines) : []
    },
    async restart(id, { signal }) {
      const container = get(id)
      if (container.state === 'running') return observe(container)
      await clock.sleep(startMs, { signal })
      begin(get(id))
      return observe(container)
    },
    stop: async (id, options) => stop(get(id), options),
    async remove(id, options) {
      const container = containers.get(id)
      if (!container) return
      await stop(container, options)
      containers.delete(id)
    },
    async removeImage(image) {
      const isUsed = [...containers.values()].some((it) => it.spec.image === image)
      if (!isUsed) images.delete(image)
    },
    async images() {
      return [...images]
    },
    async close() {
      for (const container of containers.values()) end(container, 137)
      containers.clear()
    },
  }
}

function defaultProgram({ hostname }: ContainerSpec): SimulatedProgram {
  return { lines: [`potluck: line 1 of ${hostname}, simulated`] }
}

function adopt(container: Container, spec: ContainerSpec): ObservedContainer {
  const { slot, term, epoch } = container.spec
  if (slot === spec.slot && term === spec.term && epoch === spec.epoch) return observe(container)
  const message = `instance ${spec.instance} exists already, for slot ${slot} (${term}, ${epoch})`
  throw new EngineError('CONTAINER_CONFLICT', `${message}; remove it first`)
}

function observe({ id, spec, state, exitCode }: Container): ObservedContainer {
  const { slot, term, epoch, instance, image } = spec
  const seen = { id, slot, term, epoch, instance, image, state, oomKilled: false }
  return state === 'exited' ? { ...seen, exitCode } : seen
}

async function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const stop = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

function checkSpec(
  { reference, image, limits, env }: ContainerSpec,
  images: ReadonlySet<string>,
  toolkit: string | undefined,
): void {
  if (!images.has(image)) {
    throw new EngineError('IMAGE_MISSING', `no such image: ${reference}; pull it first`)
  }
  if (limits.gpuUuids.length > 0) requireToolkit(toolkit, minimumToolkitVersion)
  filterTenantEnv(env)
}
