/** The answering half of a swarm: one session a stream, one uploader over all of them. */
import type { Connection } from '@libp2p/interface'
import type { Clock } from '../clock.ts'
import { describeError, errorCode } from '../errors.ts'
import type { BundleId, PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import { type Mesh, peerIdOf } from '../mesh/index.ts'
import { acceptChunkStreams, type ChunkStream, refuseChunkStreams } from './chunk-stream.ts'
import { breachCodes } from './errors.ts'
import { type HolderComponents, HolderSession } from './holder.ts'
import type { Misbehaviour } from './peer-book.ts'

const tickMs = 250

export interface Serving {
  start(): Promise<void>
  /** Ends every session. */
  stop(): Promise<void>
  /** Tells those who wait for a bundle that its descriptor is here. */
  bundleReady(bundle: BundleId): void
  /** Ends all streams of a peer. */
  drop(peer: PeerId): void
}

/** Serves what the store holds to those who show a ticket. */
export function createServing(
  components: HolderComponents &
    Readonly<{
      /** Called a few times a second while there is a swarm. */
      onTick: () => void
      mesh: Mesh
      clock: Clock
      logger: Logger
      accuse: (what: Misbehaviour) => void
      /** Whether a peer is not served at all. */
      isDropped: (peer: PeerId) => boolean
      signal: AbortSignal
    }>,
): Serving {
  const { mesh, clock, logger, signal, accuse } = components
  const sessions = new Set<HolderSession>()
  const running = new Set<Promise<void>>()
  let started = false

  const serve = (stream: ChunkStream, connection: Connection): void => {
    const peer = peerIdOf(connection.remotePeer)
    if (components.isDropped(peer)) {
      stream.bytes.abort(new Error('this peer is not served'))
      return
    }
    const session = new HolderSession(stream, peer, components)
    sessions.add(session)
    const ended = session
      .run()
      .catch((error: unknown) => {
        if (signal.aborted) return
        logger.debug({ peer, error }, 'a requester is gone')
        const kind = faultOf(error)
        if (kind) accuse({ peer, kind, detail: describeError(error) })
      })
      .finally(() => {
        sessions.delete(session)
        running.delete(ended)
      })
    running.add(ended)
  }
  const tickOn = async (): Promise<void> => {
    while (!signal.aborted) {
      await clock.sleep(tickMs, { signal }).catch(() => undefined)
      if (signal.aborted) return
      components.onTick()
    }
  }

  return {
    async start() {
      if (started) return
      started = true
      await acceptChunkStreams(mesh, serve)
      running.add(tickOn())
    },
    async stop() {
      if (started) await refuseChunkStreams(mesh)
      for (const session of sessions) session.abort(new Error('the swarm was stopped'))
      await Promise.all(running)
    },
    drop(peer) {
      const reason = new Error('this peer is no longer served')
      for (const session of sessions) if (session.peer === peer) session.abort(reason)
    },
    bundleReady(bundle) {
      for (const session of sessions) session.bundleReady(bundle)
    },
  }
}

/** What a requester's stream ended for, where that is the peer's fault. */
function faultOf(error: unknown): Misbehaviour['kind'] | undefined {
  const code = errorCode(error)
  if (code === 'TOO_MANY_REQUESTS' || code === 'UNREAD_OVERFLOW') return 'flood'
  return breachCodes.has(code ?? '') ? 'malformed' : undefined
}
