/**
 * A process from start to stop: signals, faults that nobody caught, deadlines. Without it each
 * process would stop in its own way, and a hung one only by `kill -9`.
 */
import type { Static, TObject } from 'typebox'
import type { Logger } from '../../protocol/log/index.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import type { ProcessModule, ReadyInfo } from './process-module.ts'

/** A goodbye, running containers to stop, a store to flush. Service managers give 90 s. */
const stopMs = 30_000
/** After a bug little can be trusted: time to close the store, no more. */
const faultStopMs = 5_000
/**
 * One wish may come as two signals: npm hands on the Ctrl-C that the terminal has sent already, and
 * the kernel tells of a parent's death (PR_SET_PDEATHSIG) for each of its threads. Ending at once
 * for that would leave an engine running.
 */
const echoMs = 500

/** The parts of `process` that a run uses. */
export interface ProcessEvents {
  on(event: string, listener: (...args: unknown[]) => void): unknown
  off(event: string, listener: (...args: unknown[]) => void): unknown
  /** Ends the process at once. */
  exit(code: ExitCode): void
}

export type RunProcessInit<S extends TObject> = Readonly<{
  module: ProcessModule<S>
  config: Static<S>
  logger: Logger
  onReady: (info: ReadyInfo) => void
  events: ProcessEvents
  /** Reads the settings again, on SIGHUP; absent: SIGHUP is one more wish to stop. */
  reload?: () => Static<S>
}>

/**
 * Runs until the module's `run` ends, and returns the exit code. SIGTERM or SIGINT asks it to stop;
 * a second one (not its echo), or a missed deadline, ends the process at once.
 * @throws what `run` rejected with before it was ready: the story of a start that failed.
 */
export async function runProcess<S extends TObject>(init: RunProcessInit<S>): Promise<ExitCode> {
  const { module, config, logger, events, reload } = init
  const controller = new AbortController()
  let deadline: NodeJS.Timeout | undefined
  let faulted = false
  let ready = false

  const stopWithin = (ms: number, why: string): void => {
    clearTimeout(deadline)
    deadline = setTimeout(() => {
      logger.error({ waitedMs: ms }, 'did not stop in time, ending at once')
      events.exit(exitCodes.failure)
    }, ms)
    controller.abort(new Error(why))
  }
  let asked: Readonly<{ name: unknown; atMs: number }> | undefined
  const onSignal = (name: unknown): void => {
    const atMs = performance.now()
    if (asked && asked.name === name && atMs - asked.atMs < echoMs) return
    asked ??= { name, atMs }
    if (controller.signal.aborted) {
      logger.warn({ signal: name }, 'second signal, ending at once')
      events.exit(exitCodes.failure)
      return
    }
    logger.info({ signal: name }, 'stopping')
    stopWithin(stopMs, `stopped by ${name}`)
  }
  const onFault = (error: unknown): void => {
    logger.error({ error }, 'a fault that nothing caught, stopping')
    if (faulted) return
    faulted = true
    stopWithin(faultStopMs, 'stopped by a fault')
  }
  const reloaders: ((config: never) => void)[] = []
  const onHangUp = (name: unknown): void => {
    if (!reload) {
      onSignal(name)
      return
    }
    try {
      const next = reload()
      for (const tell of reloaders) tell(next as never)
      logger.info({ listeners: reloaders.length }, 'the settings were read again')
    } catch (error) {
      logger.error({ error }, 'the settings cannot be read again, the old ones stay in force')
    }
  }
  const listeners = [
    ['SIGHUP', onHangUp],
    ['SIGTERM', onSignal],
    ['SIGINT', onSignal],
    ['uncaughtException', onFault],
    ['unhandledRejection', onFault],
  ] as const

  for (const [event, listener] of listeners) events.on(event, listener)
  try {
    const onReady = (info: ReadyInfo): void => {
      ready = true
      init.onReady(info)
    }
    const onReload = (listener: (config: never) => void): void => {
      reloaders.push(listener)
    }
    await module.run(config, { signal: controller.signal, logger, onReady, onReload })
    logger.info({}, 'stopped')
  } catch (error) {
    if (!controller.signal.aborted && !ready) throw error
    // Waits that ended because it was asked to stop are no failure.
    if (!controller.signal.aborted || !isAbort(error, controller.signal)) {
      logger.error({ error }, 'failed')
      faulted = true
    }
  } finally {
    clearTimeout(deadline)
    for (const [event, listener] of listeners) events.off(event, listener)
  }
  return faulted ? exitCodes.failure : exitCodes.ok
}

function isAbort(error: unknown, signal: AbortSignal): boolean {
  return error === signal.reason || (error instanceof Error && error.name === 'AbortError')
}
