/**
 * Docker as Potluck's engine. Nothing is remembered here that labels do not say: a daemon that was
 * killed finds its containers by them, and a second `run` of the same order finds the first one's.
 */
import { readlink } from 'node:fs/promises'
import type { InstanceId, PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { containerName, createOptions } from './create-options.ts'
import { type InspectAnswer, observe, parseCreated } from './docker-answers.ts'
import { type CallOptions, createDockerApi } from './docker-api.ts'
import { createDockerContainers, type DockerContainers } from './docker-containers.ts'
import { createDockerImages } from './docker-images.ts'
import { readDockerInfo } from './docker-info.ts'
import { loadImage } from './docker-load.ts'
import { bridgeName, createDockerNetworks, type DockerNetworks } from './docker-network.ts'
import { pullImage } from './docker-pull.ts'
import type { ContainerSpec, Engine, ImageTransfer, ObservedContainer } from './engine.ts'
import { EngineError } from './errors.ts'
import { minimumToolkitVersion, readToolkitVersion, requireToolkit } from './gpu-toolkit.ts'
import type { Isolation } from './isolation.ts'
import { instanceLabel } from './labels.ts'
import { reachesLoopback } from './loopback-probe.ts'
import { filterTenantEnv } from './tenant-env.ts'

export type DockerEngineInit = Readonly<{
  socketPath: string
  node: PeerId
  /** Started by this node ({@link createManagedEngine}), so that Env never lies on a disk. */
  managed: boolean
  /** The operator accepts that the chef's own engine writes Env to its disk. */
  allowEnvOnHostEngine?: boolean
  /** Given to containers; the home's own resolvers are out of their reach. */
  dns?: readonly string[]
  /** Hard limit on open files of the engine; read from our own process when absent. */
  nofileMax?: number
  /** The repository in the endpoint's references; tells our images from the chef's. */
  repository?: string
  minimumToolkitVersion?: string
  /** `auto` (the default): pull where the engine reaches our loopback. */
  imageTransfer?: 'auto' | ImageTransfer
}>

export type DockerEngineComponents = Readonly<{
  logger: Logger
  isolation: Isolation
  /** The toolkit's version on this machine; for tests. */
  toolkitVersion?: () => Promise<string | undefined>
}>

/** An engine on a busy machine hears of a container's end within this. */
const endNoticedMs = 5_000

/** Public resolvers: the LAN's are unreachable from a container by design. */
export const defaultDns: readonly string[] = ['1.1.1.1', '9.9.9.9']

/** An engine over a Docker that answers at `socketPath`; opens nothing until it is asked. */
export function createDockerEngine(
  init: DockerEngineInit,
  components: DockerEngineComponents,
): Engine {
  const { node, managed } = init
  const { logger } = components
  const toolkitVersion = components.toolkitVersion ?? readToolkitVersion
  const api = createDockerApi(init)
  const images = createDockerImages(api, { repository: init.repository ?? 'bundle', managed })
  const networks = createDockerNetworks(api, node)
  const containers = createDockerContainers(api, node)
  /** Instances whose network may stand without a container yet. */
  const starting = new Set<InstanceId>()

  const info: Engine['info'] = (options) => readDockerInfo(api, init, { toolkitVersion }, options)

  function checkAllowed(spec: ContainerSpec): void {
    const names = Object.keys(spec.env)
    if (names.length === 0 || managed || init.allowEnvOnHostEngine === true) return
    throw new EngineError(
      'ENV_NOT_ALLOWED',
      `the engine at ${init.socketPath} would write the group's environment variables to its ` +
        'disk; let the node start its own engine, or allow it in the node’s configuration',
      { fields: { variables: names.length } },
    )
  }

  async function create(spec: ContainerSpec, network: string, options: CallOptions) {
    const { refused } = filterTenantEnv(spec.env)
    if (refused.length > 0) logger.warn({ names: refused }, 'variables left out of the container')
    const reference = (await images.reference(spec.image, options)) ?? spec.reference
    const place = { network, dns: init.dns ?? defaultDns }
    const { name, ...body } = createOptions({ ...spec, reference }, await info(options), place)
    const created = parseCreated(await api.post('/containers/create', { name }, body, options))
    const warnings = created.Warnings ?? []
    if (warnings.length > 0) logger.warn({ warnings }, 'the engine dropped part of a request')
    return created.Id
  }

  /** Starts, and proves the isolation before anyone is told that it runs. */
  async function startIsolated(id: string, instance: InstanceId, options: CallOptions) {
    await components.isolation.ensure(options)
    await containers.start(id, options)
    const answer = await containers.inspect(id, options)
    if (!answer.State.Running) return observed(answer)
    try {
      await verifyIsolation(components.isolation, answer, instance, options)
    } catch (error) {
      // One that ended meanwhile took its network along: there is nothing left to prove. The engine
      // may learn of the end a moment after the kernel.
      if (!(await hasNamespace(answer))) await untilEnded(id, options)
      const after = await containers.inspect(id, options)
      if (!after.State.Running && !options.signal.aborted) return observed(after)
      throw error
    }
    return observed(await containers.inspect(id, options))
  }

  async function untilEnded(id: string, { signal }: CallOptions): Promise<void> {
    const soon = AbortSignal.any([signal, AbortSignal.timeout(endNoticedMs)])
    await containers.waitExit(id, { signal: soon }).catch(() => undefined)
  }

  async function adopt(spec: ContainerSpec, options: CallOptions) {
    const answer = await containers.find(spec.instance, options)
    if (!answer) return undefined
    const found = observed(answer)
    const isSame =
      found.slot === spec.slot && found.term === spec.term && found.epoch === spec.epoch
    if (!isSame) {
      const held = `${found.slot} (${found.term}, ${found.epoch})`
      const message = `instance ${spec.instance} exists already, for slot ${held}; remove it first`
      throw new EngineError('CONTAINER_CONFLICT', message)
    }
    return found.state === 'created' ? startIsolated(found.id, spec.instance, options) : found
  }

  async function discard(instance: InstanceId): Promise<void> {
    // The caller's signal may be why we are here: the clean-up has a deadline of its own.
    const options = { signal: AbortSignal.timeout(30_000) }
    try {
      const answer = await containers.find(instance, options)
      if (answer) await containers.remove(answer.Id, options)
      await networks.remove(instance, options)
    } catch (error) {
      logger.error({ error, instance }, 'could not remove what a failed start left')
    }
  }

  async function run(spec: ContainerSpec, options: CallOptions): Promise<ObservedContainer> {
    checkAllowed(spec)
    if (spec.limits.gpuUuids.length > 0) {
      const minimum = init.minimumToolkitVersion ?? minimumToolkitVersion
      requireToolkit(await toolkitVersion(), minimum)
    }
    starting.add(spec.instance)
    try {
      const adopted = await adopt(spec, options)
      if (adopted) return adopted
      const network = await networks.ensure(spec.instance, options)
      const id = await create(spec, network, options)
      return await startIsolated(id, spec.instance, options)
    } catch (error) {
      const isOther = error instanceof EngineError && error.code === 'CONTAINER_CONFLICT'
      if (!isOther) await discard(spec.instance)
      throw error
    } finally {
      starting.delete(spec.instance)
    }
  }

  const { imageTransfer = 'auto' } = init
  /** An engine of our own shares our loopback; one that came by once does not move away. */
  let isReached = managed
  const transferOf = async (options: CallOptions): Promise<ImageTransfer> => {
    if (imageTransfer !== 'auto') return imageTransfer
    isReached ||= await reachesLoopback((source, wait) => pullImage(api, source, wait), options)
    return isReached ? 'pull' : 'load'
  }

  return {
    info,
    run,
    imageTransfer: transferOf,
    pull: (source, options) => pullImage(api, source, options),
    load: (archive, options) => loadImage(api, images, archive, options),
    async list(options) {
      return (await containers.list(options)).map(observed)
    },
    waitExit: (id, options) => containers.waitExit(id, options),
    usage: (id, options) => containers.usage(id, options),
    logTail: (id, lines, options) => containers.logTail(id, lines, options),
    async restart(id, options) {
      const { instance } = observed(await containers.inspect(id, options))
      try {
        return await startIsolated(id, instance, options)
      } catch (error) {
        const failed = error instanceof EngineError && error.code === 'ISOLATION_FAILED'
        if (failed) await discard(instance)
        throw error
      }
    },
    async stop(id, { graceMs, ...options }) {
      await containers.stop(await containers.inspect(id, options), graceMs, options)
    },
    async remove(id, { graceMs, ...options }) {
      const answer = await containers.inspectIfThere(id, options)
      if (answer) {
        await containers.stop(answer, graceMs, options)
        await containers.remove(answer.Id, options)
      }
      await sweepNetworks(networks, containers, starting, options)
    },
    removeImage: (image, options) => images.remove(image, options),
    images: (options) => images.digests(options),
    async close() {
      api.close()
    },
  }
}

/** Networks without a container: the removed one's, and any that a crash left. */
async function sweepNetworks(
  networks: DockerNetworks,
  containers: DockerContainers,
  starting: ReadonlySet<string>,
  options: CallOptions,
): Promise<void> {
  const kept = new Set(
    (await containers.list(options)).map((it) => it.Config.Labels?.[instanceLabel]),
  )
  await networks.sweep((instance) => kept.has(instance) || starting.has(instance), options)
}

function namespacePathOf({ State }: InspectAnswer): string {
  return `/proc/${State.Pid}/ns/net`
}

/** Whether the container's process lives; one that has ended, even if unreaped, has none. */
function hasNamespace(answer: InspectAnswer): Promise<boolean> {
  return readlink(namespacePathOf(answer)).then(
    () => true,
    () => false,
  )
}

async function verifyIsolation(
  isolation: Isolation,
  answer: InspectAnswer,
  instance: InstanceId,
  options: CallOptions,
): Promise<void> {
  const gateway = answer.NetworkSettings.Networks?.[containerName(instance)]?.Gateway ?? ''
  const target = { namespacePath: namespacePathOf(answer), bridge: bridgeName(instance), gateway }
  try {
    await isolation.verify(target, options)
  } catch (cause) {
    options.signal.throwIfAborted()
    const message = `instance ${instance} is not isolated from the home, and is removed`
    throw new EngineError('ISOLATION_FAILED', message, { cause })
  }
}

function observed(answer: InspectAnswer): ObservedContainer {
  const container = observe(answer)
  if (container) return container
  const message = `container ${answer.Id.slice(0, 12)} is not one that Potluck made; leave it alone`
  throw new EngineError('CONTAINER_GONE', message)
}
