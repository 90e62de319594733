/**
 * One asking stream to each holder, dialled when the first download wants it and closed when the
 * last one leaves. Two downloads that want the same holder share the dial as well.
 */
import type { Clock } from '../clock.ts'
import type { PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import { dialPeer, type Mesh, type PeerAddress, toLibp2pPeerId } from '../mesh/index.ts'
import { openChunkStream } from './chunk-stream.ts'
import { RequesterSession } from './requester.ts'

/** A dead peer must not hold a place for long (swarm.md, spegel#1311: 30 s each). */
const openMs = 8_000
const closeMs = 1_000

export interface SessionPool {
  /** The open session with a holder, dialled if need be. @throws {PotluckError} it is not reached. */
  open(hint: PeerAddress): Promise<RequesterSession>
  /** Whether there is a connection that carries chunks. */
  isConnected(peer: PeerId): boolean
  stop(): Promise<void>
}

/** One stream a holder, shared by all downloads. */
export function createSessionPool(
  components: Readonly<{
    mesh: Mesh
    logger: Logger
    clock: Clock
    signal: AbortSignal
  }>,
): SessionPool {
  const { mesh, logger, clock, signal } = components
  const sessions = new Map<PeerId, Promise<RequesterSession>>()
  const running = new Set<Promise<unknown>>()

  const dial = async (hint: PeerAddress): Promise<RequesterSession> => {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(openMs)])
    const connection = await dialPeer(mesh, hint, { signal: deadline })
    const stream = await openChunkStream(connection, { signal: deadline })
    const opened = sessions.get(hint.peer)
    const drop = (): void => {
      if (sessions.get(hint.peer) === opened) sessions.delete(hint.peer)
    }
    const session: RequesterSession = new RequesterSession(
      stream,
      hint.peer,
      () => {
        drop()
        if (session.open) void session.close({ signal: AbortSignal.timeout(closeMs) })
      },
      () => clock.nowMs(),
    )
    const run = session.run().then((error) => {
      drop()
      logger.debug({ peer: hint.peer, error }, 'a chunk stream ended')
    })
    running.add(run)
    void run.finally(() => running.delete(run))
    return session
  }

  return {
    isConnected: (peer) =>
      mesh
        .getConnections(toLibp2pPeerId(peer))
        .some(({ status, limits }) => status === 'open' && !limits),
    async open(hint) {
      const known = sessions.get(hint.peer)
      if (known) {
        const session = await known.catch(() => undefined)
        if (session?.open) return session
      }
      // Somebody else may have dialled while we waited.
      const other = sessions.get(hint.peer)
      if (other && other !== known) return await other
      const dialling = Promise.resolve().then(() => dial(hint))
      sessions.set(hint.peer, dialling)
      dialling.catch(() => {
        if (sessions.get(hint.peer) === dialling) sessions.delete(hint.peer)
      })
      return await dialling
    },
    async stop() {
      const open = await Promise.allSettled(sessions.values())
      for (const result of open) {
        if (result.status === 'fulfilled') result.value.abort(new Error('the swarm was stopped'))
      }
      sessions.clear()
      await Promise.all(running)
    },
  }
}
