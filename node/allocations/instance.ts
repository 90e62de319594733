/**
 * One instance on this node, from its order to its end: fetch, serve Docker, run, watch, restart,
 * remove. Each step first looks at what is there, so the same lines start an instance and adopt one
 * after a crash. It ends when told to (`stop`), or by itself with a verdict for the coordinator.
 */
import type { Clock } from '../../protocol/clock.ts'
import type { Fault, InstanceReport, InstanceState } from '../../protocol/control/index.ts'
import { describeError, errorCode } from '../../protocol/errors.ts'
import { machineIdOf } from '../../protocol/identity/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { Allocation, AllocationSecrets } from '../../protocol/orders/index.ts'
import type { Engine, ObservedContainer } from '../engine/engine.ts'
import { identityEnv } from './identity-env.ts'
import type { ImageFetcher } from './image-fetcher.ts'
import { isFinal, move } from './instance-state.ts'
import { afterExit, steadyMs } from './restart-rule.ts'
import { type ContainerEnd, watchContainer } from './watch-container.ts'

export type InstanceInit = Readonly<{
  order: Allocation
  secrets: AllocationSecrets
  node: PeerId
  /** A container that runs already is stopped and started again before anything else. */
  restartsFirst: boolean
  /** Whether the image stays in the engine after this end of the instance. */
  keepsImage: (end: Fault | undefined) => boolean
  onChange: (report: InstanceReport) => void
}>

export type InstanceComponents = Readonly<{
  engine: Engine
  images: ImageFetcher
  clock: Clock
  logger: Logger
}>

export interface Instance {
  report(): InstanceReport
  /** Ends it and removes all that it left; resolves when nothing is there. Later calls wait too. */
  stop(reason: Fault, graceMs: number): Promise<void>
  /** Lets go of the container as it is, for a newer epoch of the same instance to adopt. */
  handOver(): Promise<void>
  /** Resolves when the state is final, or the container was handed over. */
  readonly ended: Promise<void>
}

/** Longer than any engine call but a pull should take. */
const engineMs = 120_000
const removeRetryMs = 2_000
/** SIGTERM to SIGKILL, when a tenant asks for a restart. */
const restartGraceMs = 30_000
const engineRetryMs = 1_000

const handedOver: Fault = { code: 'HANDED_OVER', message: 'a newer epoch has the container' }

/** Starts to work at once. */
export function startInstance(init: InstanceInit, components: InstanceComponents): Instance {
  const { order, secrets, node } = init
  const { engine, images, clock } = components
  const logger = components.logger.child({ slot: order.slot, epoch: order.epoch })
  const stopping = new AbortController()
  let graceMs = 0
  let state: InstanceState = 'accepted'
  let fault: Fault | undefined
  let exitCode: number | undefined
  let restarts = 0
  const transfer = images.transfer(order.bundle)

  const report = (): InstanceReport => ({
    slot: order.slot,
    term: order.term,
    epoch: order.epoch,
    instance: order.instance,
    state,
    ...(fault ? { fault } : {}),
    ...(exitCode === undefined ? {} : { exitCode }),
    restarts,
    ...transfer.progress(),
  })
  const become = (next: InstanceState): void => {
    if (next === state) return
    state = move(state, next)
    logger.info({ state, ...(fault ? { fault: fault.code } : {}) }, 'instance changed state')
    init.onChange(report())
  }
  const call = (): { signal: AbortSignal } => ({
    signal: AbortSignal.any([stopping.signal, clock.timeout(engineMs)]),
  })
  const find = async (options: { readonly signal: AbortSignal }) =>
    (await engine.list(options)).find((container) => container.instance === order.instance)

  const create = async (): Promise<ObservedContainer> => {
    become('downloading')
    const reference = await transfer.pull(secrets, {
      signal: stopping.signal,
      onUnpacking: () => become('creating'),
    })
    become('creating')
    return await engine.run(
      {
        node,
        slot: order.slot,
        term: order.term,
        epoch: order.epoch,
        instance: order.instance,
        image: secrets.manifestDigest,
        reference,
        command: secrets.command,
        env: secrets.env,
        identity: identityEnv(secrets, { node, instance: order.instance }),
        hostname: machineIdOf(node),
        limits: order.resources,
      },
      call(),
    )
  }

  /**
   * The container that is there already. A daemon killed between create and start leaves one that
   * never ran, which `waitExit` would take for one that ended well; one killed a moment later has
   * not proved its isolation. `restart` makes up for both, and leaves alone what runs.
   */
  const adopt = async (): Promise<ObservedContainer | undefined> => {
    const found = await find(call())
    if (found?.state === 'running' && init.restartsFirst) {
      logger.info({}, 'the container is restarted, as its tenant asked')
      await engine.stop(found.id, { ...call(), graceMs: restartGraceMs })
      restarts++
    }
    const isBegun = found?.state === 'created' || found?.state === 'running'
    return isBegun ? await engine.restart(found.id, call()) : found
  }

  /** Runs until the container must not be started again; the verdict's fault, if it failed. */
  const run = async (): Promise<Fault | undefined> => {
    let container = (await adopt()) ?? (await create())
    let quickRestarts = 0
    for (;;) {
      const startedMs = clock.nowMs()
      if (container.state === 'running' || container.state === 'paused') become('running')
      const end = await watchThroughOutages(
        { id: container.id, storageBytes: order.resources.storageBytes, signal: stopping.signal },
        { engine, clock, logger },
      )
      if ('fault' in end) return end.fault
      exitCode = end.exitCode
      const ranMs = clock.nowMs() - startedMs
      const verdict = afterExit(order.restart, { exitCode, ranMs, quickRestarts })
      logger.info({ exitCode, ranMs, verdict: verdict.kind }, 'the container ended')
      if (verdict.kind === 'finished') return undefined
      if (verdict.kind === 'failed') {
        return { code: 'CONTAINER_FAILED', message: `the container exited with ${exitCode}` }
      }
      if (state === 'running') become('restarting')
      quickRestarts = ranMs >= steadyMs ? 0 : quickRestarts + 1
      await clock.sleep(verdict.afterMs, { signal: stopping.signal })
      restarts++
      container = await engine.restart(container.id, call())
    }
  }

  /** Removes container and image; tries until the engine has done it. */
  const clear = async (): Promise<void> => {
    for (;;) {
      try {
        const signal = clock.timeout(engineMs + graceMs)
        const container = await find({ signal })
        if (container) await engine.remove(container.id, { signal, graceMs })
        if (!init.keepsImage(fault)) await engine.removeImage(secrets.manifestDigest, { signal })
        return
      } catch (error) {
        logger.warn({ error }, 'could not remove what the instance left; trying again')
        await clock.sleep(removeRetryMs)
      }
    }
  }

  const live = async (): Promise<void> => {
    try {
      fault = await run()
    } catch (error) {
      if (!stopping.signal.aborted) {
        fault = { code: errorCode(error) ?? 'INSTANCE_FAILED', message: describeError(error) }
        logger.warn({ error }, 'the instance failed')
      }
    }
    if (stopping.signal.reason === handedOver) {
      await transfer.release()
      return
    }
    const failed = fault !== undefined && !stopping.signal.aborted
    if (stopping.signal.aborted) fault = stopping.signal.reason as Fault
    if (!isFinal(state)) become('stopping')
    await clear()
    await transfer.release()
    become(failed ? 'failed' : 'stopped')
  }
  const ended = live()
  return {
    report,
    ended,
    async stop(reason, grace) {
      if (!stopping.signal.aborted) {
        graceMs = grace
        stopping.abort(reason)
      }
      await ended
    },
    async handOver() {
      if (!stopping.signal.aborted) stopping.abort(handedOver)
      await ended
    },
  }
}

/** An engine that is away for a while says nothing of the container: it lives on without it. */
async function watchThroughOutages(
  watched: Parameters<typeof watchContainer>[0],
  parts: Parameters<typeof watchContainer>[1],
): Promise<ContainerEnd> {
  for (;;) {
    try {
      return await watchContainer(watched, parts)
    } catch (error) {
      if (errorCode(error) !== 'ENGINE_UNREACHABLE') throw error
      parts.logger.warn({ error }, 'the engine is away; waiting for it')
      await parts.clock.sleep(engineRetryMs, { signal: watched.signal })
    }
  }
}
