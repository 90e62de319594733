/**
 * A Docker engine that the node starts for itself. On the chef's own engine Env would lie on a disk
 * and the chef's rules would be in our way; here a containerd and a dockerd of our own run beside
 * it, disturb nothing of it, and keep Env on a tmpfs.
 *
 * Both run in a session of their own: killing the daemon, even with -9, leaves them and their
 * containers running, and the next daemon adopts them. There is no state but what can be seen: the
 * processes (by command line), the mounts, the socket. What does not add up to a whole engine is
 * removed and started anew; the swarm's chunks are still there to pull from.
 */
import { spawn } from 'node:child_process'
import {
  chmod,
  copyFile,
  mkdir,
  open,
  readFile,
  readlink,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Logger } from '../../../protocol/log/index.ts'
import { parseNofileMax } from '../docker-info.ts'
import { EngineError } from '../errors.ts'
import { containerdConfig, daemonConfig, dockerdArgs, type PoolInit } from './commands.ts'
import { removeEngine } from './leftovers.ts'
import { isMounted, mountAll } from './mounts.ts'
import { type ManagedPaths, managedPaths } from './paths.ts'
import { endProcesses, type FoundProcess, findProcesses } from './processes.ts'
import { ping, untilReady } from './readiness.ts'

export type ManagedEngineInit = Readonly<{
  /** On a disk: layers and volumes. The engine owns `docker/` in it. */
  dataDir: string
  /**
   * The daemon's folder below /run, short enough for sockets. The engine owns `engine/` in it, where
   * it mounts a tmpfs; what lies beside it is left alone.
   */
  runDir: string
  pool?: PoolInit
  /** Bound of the tmpfs: containers' configurations and logs (20 MB each at most), the programs' logs. */
  tmpfsBytes?: number
  startTimeoutMs?: number
  /** Where the programs are found. */
  searchPath?: string
}>

export type ManagedEngineComponents = Readonly<{ logger: Logger }>

export interface ManagedEngine {
  readonly socketPath: string
  /** Containers' addresses, for the firewall's masquerading. */
  readonly pool: PoolInit
  /**
   * An engine that answers: the one that runs already, or a new one. To be called at start, after
   * an ENGINE_UNREACHABLE and now and then (it also bounds the logs). Calls share one start.
   * @throws {EngineError} ENGINE_START_FAILED with the end of the program's log.
   */
  ensure(options: { readonly signal: AbortSignal }): Promise<{ readonly adopted: boolean }>
  /** The hard limit on open files that containers may be given; needs a running engine. */
  nofileMax(): Promise<number | undefined>
  /**
   * Stops the engine, kills containers that still run (who wants grace removes them first), and
   * removes all they left. Idempotent.
   */
  stop(): Promise<void>
}

export const defaultPool: PoolInit = { base: '198.18.0.0/16', size: 28 }
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const defaultTmpfsBytes = 512 << 20
const logBytesMax = 4 << 20

export function createManagedEngine(
  init: ManagedEngineInit,
  { logger }: ManagedEngineComponents,
): ManagedEngine {
  const paths = managedPaths(init.dataDir, init.runDir)
  const pool = init.pool ?? defaultPool
  const startTimeoutMs = init.startTimeoutMs ?? 15_000
  const env = { PATH: init.searchPath ?? defaultPath }
  /** One change at a time: starts join, a stop comes after the start that it follows. */
  let last: Promise<unknown> = Promise.resolve()
  let starting: Promise<{ readonly adopted: boolean }> | undefined

  function inTurn<T>(act: () => Promise<T>): Promise<T> {
    const turn = last.then(act, act)
    last = turn.catch(() => {})
    return turn
  }

  async function start(): Promise<{ readonly adopted: boolean }> {
    await boundLog(paths.log)
    await boundLog(paths.containerdLog)
    const living = await look(paths)
    if (living.isWhole && (await ping(paths.socket))) return { adopted: true }
    const startedMs = performance.now()
    if (!living.isMounted || !living.isInOurNamespace) await prepare(paths, init)
    await startPrograms(paths, pool, env, startTimeoutMs)
    if (!(await isMounted(paths))) {
      await removeEngine(paths)
      const message = `the engine at ${paths.dataRoot} would keep Env on the disk; it was stopped`
      throw new EngineError('ENGINE_START_FAILED', message)
    }
    await chmod(paths.socket, 0o600)
    logger.info({ tookMs: Math.round(performance.now() - startedMs) }, 'engine started')
    return { adopted: false }
  }

  return {
    socketPath: paths.socket,
    pool,
    async ensure({ signal }) {
      signal.throwIfAborted()
      starting ??= inTurn(start).finally(() => {
        starting = undefined
      })
      return starting
    },
    async nofileMax() {
      const [dockerd] = await findProcesses('dockerd', paths.daemonConfig)
      if (!dockerd) return undefined
      return parseNofileMax(await readFile(`/proc/${dockerd.pid}/limits`, 'utf8'))
    },
    stop: () => inTurn(() => removeEngine(paths)),
  }
}

type Living = Readonly<{ isWhole: boolean; isMounted: boolean; isInOurNamespace: boolean }>

async function look(paths: ManagedPaths): Promise<Living> {
  const dockerd = await findProcesses('dockerd', paths.daemonConfig)
  const containerd = await findProcesses('containerd', paths.containerdConfig)
  const mounted = await isMounted(paths)
  const isInOurNamespace = await areInOurNamespace([...dockerd, ...containerd])
  const both = dockerd.length === 1 && containerd.length === 1
  return { isWhole: both && mounted && isInOurNamespace, isMounted: mounted, isInOurNamespace }
}

/** An engine in another network namespace than ours has bridges that our rules do not guard. */
async function areInOurNamespace(processes: readonly FoundProcess[]): Promise<boolean> {
  const own = await readlink('/proc/self/ns/net')
  const theirs = await Promise.all(
    processes.map(({ pid }) => readlink(`/proc/${pid}/ns/net`).catch(() => own)),
  )
  return theirs.every((namespace) => namespace === own)
}

/** A clean start: without its tmpfs half the data-root is a torso, whose containers none knows. */
async function prepare(paths: ManagedPaths, init: ManagedEngineInit): Promise<void> {
  await removeEngine(paths)
  await mkdir(init.dataDir, { recursive: true, mode: 0o700 })
  await mountAll(paths, init.tmpfsBytes ?? defaultTmpfsBytes)
  await mkdir(paths.execRoot, { recursive: true, mode: 0o700 })
  await mkdir(dirname(paths.containerdSocket), { recursive: true, mode: 0o700 })
  await writeFile(paths.containerdConfig, containerdConfig(paths))
  await writeFile(paths.daemonConfig, daemonConfig)
}

/** Starts what does not run. dockerd waits for containerd by itself, so both start at once. */
async function startPrograms(
  paths: ManagedPaths,
  pool: PoolInit,
  env: Readonly<Record<string, string>>,
  timeoutMs: number,
): Promise<void> {
  const failed = new AbortController()
  const detach: (() => void)[] = []
  const begin = async (program: string, mark: string, args: readonly string[], log: string) => {
    if ((await findProcesses(program, mark)).length > 0) return
    detach.push(await spawnDetached(program, args, log, env, (error) => failed.abort(error)))
  }
  await begin(
    'containerd',
    paths.containerdConfig,
    ['--config', paths.containerdConfig],
    paths.containerdLog,
  )
  // One that is still there hangs, or lost its containerd and would never hear of an exit again
  // (seen on 20.10). Containers live on (`--live-restore`). Its pid file goes too: dockerd believes
  // it even when another program bears the number by now.
  await endProcesses(await findProcesses('dockerd', paths.daemonConfig), 2_000)
  await rm(paths.pidFile, { force: true })
  await begin('dockerd', paths.daemonConfig, dockerdArgs(paths, pool), paths.log)
  const deadline = setTimeout(
    () => failed.abort(startFailed('dockerd', `no answer in ${timeoutMs} ms`)),
    timeoutMs,
  )
  try {
    await untilReady(paths.socket, failed.signal)
  } finally {
    clearTimeout(deadline)
    for (const release of detach) release()
  }
}

/** Starts a program in a session of its own; it outlives us. Returns how to stop watching it. */
async function spawnDetached(
  program: string,
  args: readonly string[],
  logPath: string,
  env: Readonly<Record<string, string>>,
  onExit: (error: EngineError) => void,
): Promise<() => void> {
  const log = await open(logPath, 'a', 0o600)
  try {
    const stdio: ['ignore', number, number] = ['ignore', log.fd, log.fd]
    const child = spawn(program, [...args], { detached: true, stdio, env: { ...env }, cwd: '/' })
    const onError = (error: Error): void => onExit(startFailed(program, error.message))
    const onEnd = async (): Promise<void> => {
      onExit(startFailed(program, `it ended at once: ${await logEnd(logPath)}`))
    }
    child.on('error', onError)
    child.once('exit', onEnd)
    child.unref()
    return () => child.removeListener('exit', onEnd)
  } finally {
    await log.close()
  }
}

function startFailed(program: string, why: string): EngineError {
  return new EngineError('ENGINE_START_FAILED', `${program} did not start: ${why}`)
}

async function logEnd(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.trimEnd().split('\n').slice(-3).join(' | ').slice(-1_000)
}

/** The programs append to a file that they hold open, so it is copied and emptied, not renamed. */
async function boundLog(path: string): Promise<void> {
  const size = await stat(path).then(
    (it) => it.size,
    () => 0,
  )
  if (size <= logBytesMax) return
  await copyFile(path, `${path}.1`)
  await truncate(path)
}
