/**
 * Whether the coordinator's own line works, asked while it holds: are its caches heard, can it dial
 * out anew, can it be dialled. Connections that are open already prove little: those of a machine
 * that lost its route stay "open" for minutes.
 */
import { multiaddr } from '@multiformats/multiaddr'
import { errorCode } from '../../protocol/errors.ts'
import type { PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { type Mesh, peerIdOf, toLibp2pPeerId } from '../../protocol/mesh/index.ts'
import { askDialBack } from '../../protocol/nat/index.ts'
import type { Sessions } from '../sessions/index.ts'

export type OwnChecks = (options: { readonly signal: AbortSignal }) => Promise<boolean>

export type OwnChecksComponents = Readonly<{
  mesh: Mesh
  sessions: Pick<Sessions, 'nodes' | 'caches'>
  /** Those that the roster names, relays too: they are servers, and up when we are. */
  servers: () => readonly PeerId[]
  logger: Logger
}>

/** Dialled at once; one that answers is enough. */
const dialsMax = 4

/** All of: a server is here, a fresh dial out succeeds, a fresh dial from outside does. */
export function createOwnChecks(components: OwnChecksComponents): OwnChecks {
  const { sessions, servers, logger } = components
  return async ({ signal }) => {
    const named = servers()
    const here = named.filter((peer) => sessions.caches.get(peer)?.isHere)
    const isHeard = named.length === 0 || here.length > 0
    const targets = here.length > 0 ? here : nodesHere(sessions)
    const [reaches, isReached] = await Promise.all([
      reachesOut(components, targets.slice(0, dialsMax), signal),
      isReachedFrom(components, here[0], signal),
    ])
    const isSound = isHeard && reaches && isReached
    if (!isSound) logger.warn({ isHeard, reaches, isReached }, 'own checks fail: the hold goes on')
    return isSound
  }
}

function nodesHere({ nodes }: Pick<Sessions, 'nodes'>): readonly PeerId[] {
  const dialable = [...nodes.values()].filter(({ isHere, addrs }) => isHere && addrs.length > 0)
  return dialable.map(({ node }) => node)
}

/** A new connection, past the open one; closed at once. */
async function reachesOut(
  { mesh, sessions }: OwnChecksComponents,
  peers: readonly PeerId[],
  signal: AbortSignal,
): Promise<boolean> {
  const dials = peers.flatMap((peer) => {
    const addrs = (sessions.caches.get(peer) ?? sessions.nodes.get(peer))?.addrs ?? []
    return addrs.slice(0, 2).map(async (addr) => {
      const target = multiaddr(addr.includes('/p2p/') ? addr : `${addr}/p2p/${peer}`)
      const connection = await mesh.services.inner.transportManager.dial(target, { signal })
      await connection.close({ signal }).catch((error: Error) => connection.abort(error))
    })
  })
  return await Promise.any(dials).then(
    () => true,
    () => false,
  )
}

/** A server dials us back; one that may not (a private address) or will not now says nothing. */
async function isReachedFrom(
  { mesh }: OwnChecksComponents,
  server: PeerId | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const [connection] = server ? mesh.getConnections(toLibp2pPeerId(server)) : []
  if (!connection) return true
  const ports = mesh.getMultiaddrs().flatMap((address) => {
    const tcp = address.getComponents().find(({ name }) => name === 'tcp')?.value
    return tcp === undefined ? [] : [Number(tcp)]
  })
  try {
    const asked = { self: peerIdOf(mesh.peerId), ports: [...new Set(ports)] }
    const { verdict } = await askDialBack(connection, asked, { signal })
    return verdict.open.length > 0
  } catch (error) {
    return errorCode(error) === 'NO_DIAL_BACK'
  }
}
