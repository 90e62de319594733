/**
 * The daemon's end of the guard: writes the file before a container exists and at each extension,
 * starts the process and starts it again when it is gone. One owner of the file.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { getCompileCacheDir } from 'node:module'
import { connect, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../../protocol/clock.ts'
import { PotluckError } from '../../protocol/errors.ts'
import type { InstanceId, PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { guardFileCodec } from './plan.ts'

export type GuardInit = Readonly<{
  /** On tmpfs. */
  runDir: string
  node: PeerId
  /** The engine's unix socket. */
  socketPath: string
  bootId: string
}>

export interface Guard {
  /**
   * Says until when each instance may run without a further word; the guard is on when this
   * resolves. What is known of the world is for the next daemon. @throws {PotluckError} GUARD_UNAVAILABLE: nothing may be started then.
   */
  allow(times: ReadonlyMap<InstanceId, GuardTime>, world?: KnownWorld): Promise<void>
  /** Nothing runs any more: the file goes, and the process with it. */
  stop(): Promise<void>
}

export type GuardTime = Readonly<{
  /** Boot clock. */
  stopAtMs: number
  /** Coordinator's time; absent: not known. */
  leaseEndMs?: number
}>

/** What a daemon judges leases by and the next one cannot ask for while the coordinator is away. */
export type KnownWorld = Readonly<{
  /** Coordinator's time less the boot clock. */
  offsetMs?: number | undefined
  otherHouseholds?: number | undefined
}>

export type RememberedGuard = Readonly<{
  times: ReadonlyMap<InstanceId, GuardTime>
  world: KnownWorld
}>

/**
 * Until when the daemon before this one let each instance run, as its guard still knows it: what
 * makes a killed daemon's instances adoptable without the coordinator. Empty after a reboot.
 */
export async function rememberedGuard(runDir: string, bootId: string): Promise<RememberedGuard> {
  try {
    const file = guardFileCodec.decode(await readFile(join(runDir, 'guard.cbor')))
    if (file.bootId !== bootId) return nothingRemembered
    const times = new Map(file.entries.map(({ instance, ...time }) => [instance, time] as const))
    return { times, world: file.world ?? {} }
  } catch {
    return nothingRemembered // none, or damaged: nothing is accounted for
  }
}

const nothingRemembered: RememberedGuard = { times: new Map(), world: {} }

const startMs = 10_000
const stopMs = 5_000

/** A guard of what the daemon at `runDir` runs. No process is started before `allow`. */
export function createGuard(
  { runDir, node, socketPath, bootId }: GuardInit,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Guard {
  const filePath = join(runDir, 'guard.cbor')
  let alive: Socket | undefined
  let entries = 0
  let last: Promise<void> = Promise.resolve()

  const write = async (
    times: ReadonlyMap<InstanceId, GuardTime>,
    world: KnownWorld,
  ): Promise<void> => {
    const entries = [...times].map(([instance, time]) => ({ instance, ...time }))
    const bytes = guardFileCodec.encode({
      ...{ v: 1, bootId, node, socketPath, entries },
      world: definedOf(world),
    })
    const draft = await open(`${filePath}.tmp`, 'w', 0o600)
    try {
      await draft.writeFile(bytes)
    } finally {
      await draft.close()
    }
    await rename(`${filePath}.tmp`, filePath)
  }
  const reach = async (): Promise<Socket | undefined> => {
    const socket = connect(join(runDir, 'guard.sock'))
    try {
      await once(socket, 'connect')
    } catch {
      socket.destroy()
      return undefined
    }
    socket.unref()
    socket.on('error', () => socket.destroy())
    socket.once('close', () => {
      if (alive !== socket) return
      alive = undefined
      if (entries > 0) {
        ensure().catch((error: unknown) => logger.error({ error }, 'the guard is gone'))
      }
    })
    return socket
  }
  const ensure = async (): Promise<void> => {
    if (alive) return
    alive = await reach()
    if (alive) return
    startProcess(runDir)
    const deadlineMs = clock.nowMs() + startMs
    while (!alive && clock.nowMs() < deadlineMs) {
      await clock.sleep(25)
      alive = await reach()
    }
    if (!alive)
      throw new PotluckError('GUARD_UNAVAILABLE', `the guard did not start in ${startMs} ms`)
    logger.info({ runDir }, 'the guard is on')
  }
  return {
    allow(times, world = {}) {
      const step = last.then(async () => {
        await mkdir(runDir, { recursive: true, mode: 0o700 })
        await write(times, world)
        entries = times.size
        if (times.size > 0) await ensure()
      })
      last = step.catch(() => undefined)
      return step
    },
    async stop() {
      await last
      entries = 0
      await rm(filePath, { force: true })
      const socket = alive
      if (!socket) return
      const gone = once(socket, 'close', { signal: AbortSignal.timeout(stopMs) })
      await gone.catch(() => logger.warn({ runDir }, 'the guard still has something to stop'))
      socket.destroy()
    },
  }
}

/** Without what is undefined, which CBOR would keep. */
function definedOf({ offsetMs, otherHouseholds }: KnownWorld) {
  return {
    ...(offsetMs === undefined ? {} : { offsetMs }),
    ...(otherHouseholds === undefined ? {} : { otherHouseholds }),
  }
}

function compileCacheEnv(): NodeJS.ProcessEnv {
  const folder = getCompileCacheDir()
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: dirname(folder) }
}

/** In a session of its own, so that nothing which ends the daemon ends it too. */
function startProcess(runDir: string): void {
  const logFile = openSync(join(runDir, 'guard.log'), 'a', 0o600)
  const main = fileURLToPath(new URL('./guard-process.ts', import.meta.url))
  const child = spawn(process.execPath, [main, runDir], {
    detached: true,
    stdio: ['ignore', logFile, logFile],
    // Compiled code: without it each guard's start takes half as much CPU again, at the very
    // moment when a home begins to download.
    env: compileCacheEnv(),
  })
  child.on('error', () => undefined) // seen as a guard that does not come
  child.unref()
  closeSync(logFile)
}
