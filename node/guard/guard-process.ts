/**
 * The guard: a process of its own that outlives the daemon and stops what may no longer run.
 * `node guard-process.ts RUN_DIR`; it reads `guard.cbor` there, holds `guard.sock` so that there is
 * one of it, and ends when there is nothing left to watch. Silence of the daemon, whether frozen,
 * dead or being upgraded, means stop: nobody has to tell it so.
 */
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { bootId, bootTimeMs } from '../../protocol/clock.ts'
import { describeError, errorCode } from '../../protocol/errors.ts'
import { createEngineSocket } from './engine-socket.ts'
import { containersToStop, type GuardFile, guardFileCodec } from './plan.ts'

/** Well under the lease's skew of 2 s. */
const roundMs = 500
/** With no entry and no container for so long there is nothing to guard; a new order comes soon. */
const idleMs = 5_000

function log(level: string, fields: object, msg: string): void {
  process.stderr.write(
    `${JSON.stringify({ level, time: Date.now(), name: 'guard', ...fields, msg })}\n`,
  )
}

function readGuardFile(path: string): GuardFile | undefined {
  try {
    return guardFileCodec.decode(readFileSync(path))
  } catch (error) {
    if (errorCode(error) !== 'ENOENT')
      log('error', { err: describeError(error) }, 'cannot read file')
    return undefined
  }
}

/** Takes the one place of guard; undefined when a living one has it. */
async function takePlace(path: string): Promise<Server | undefined> {
  for (let attempt = 0; attempt < 2; attempt++) {
    const server = createServer((socket) => socket.on('error', () => socket.destroy()))
    server.listen(path)
    try {
      await once(server, 'listening')
      return server
    } catch (error) {
      if (errorCode(error) !== 'EADDRINUSE') throw error
    }
    const probe = connect(path)
    try {
      await once(probe, 'connect')
      return undefined
    } catch {
      rmSync(path, { force: true }) // left by a guard that was killed
    } finally {
      probe.destroy()
    }
  }
  return undefined
}

type Round = Readonly<{ file: GuardFile | undefined; state: 'guarding' | 'idle' | 'over' }>

/** One look at file and engine. A file that is gone is the daemon's word that it is over. */
async function round(runDir: string, last: GuardFile | undefined): Promise<Round> {
  const path = join(runDir, 'guard.cbor')
  const file = readGuardFile(path) ?? last
  if (!file) return { file, state: 'over' }
  const engine = createEngineSocket(file.socketPath, file.node)
  const running = await engine.running()
  const doomed = containersToStop(file, running, { nowMs: bootTimeMs(), bootId: bootId() })
  for (const container of doomed) {
    log('warn', { container: container.id, instance: container.instance }, 'stopped: no lease')
    await engine.kill(container.id)
  }
  if (running.length > doomed.length) return { file, state: 'guarding' }
  if (!existsSync(path)) return { file, state: 'over' }
  return { file, state: file.entries.length > 0 ? 'guarding' : 'idle' }
}

async function guard(runDir: string): Promise<void> {
  const place = await takePlace(join(runDir, 'guard.sock'))
  if (!place) return
  log('info', { runDir, pid: process.pid }, 'on guard')
  let last: GuardFile | undefined
  let idleSinceMs = bootTimeMs()
  let isEngineAway = false
  for (;;) {
    try {
      const { file, state } = await round(runDir, last)
      last = file
      isEngineAway = false
      if (state === 'over') break
      if (state === 'guarding') idleSinceMs = bootTimeMs()
    } catch (error) {
      // Said once: the log lies in memory.
      if (!isEngineAway) log('warn', { err: describeError(error) }, 'the engine does not answer')
      isEngineAway = true
      // What may still run must be stopped when the engine is back, however long that takes.
      if (!last || last.entries.length > 0) idleSinceMs = bootTimeMs()
    }
    // Only after a look: a machine that slept has much to stop when it wakes.
    if (bootTimeMs() - idleSinceMs >= idleMs) break
    await sleep(roundMs)
  }
  log('info', { runDir }, 'nothing left to guard')
  place.close()
  process.exit(0)
}

const [runDir] = process.argv.slice(2)
if (runDir === undefined) {
  log('error', {}, 'usage: guard-process.ts RUN_DIR')
  process.exit(2)
}
await guard(runDir)
