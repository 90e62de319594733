/**
 * Places at relays, held while this host cannot be dialled: through them others bring control
 * messages. libp2p's own search walks the DHT and its places are not made again when a relay comes
 * back; here the relays are known (coordinator, caches), and places are made when their connection
 * is.
 */
import type { PeerId as Libp2pPeerId, Transport } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../clock.ts'
import type { PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import { dialPeer, type Mesh, type PeerAddress, peerIdOf, toLibp2pPeerId } from '../mesh/index.ts'

/** A relay may be full, or restarting. */
const retryMs = 60_000
/** One may go away while the other is asked. */
const wantedPlaces = 2

/** What a place is made with; libp2p's transport has it, its types do not name it. */
type Places = Readonly<{
  hasReservation(peer: Libp2pPeerId): boolean
  addRelay(peer: Libp2pPeerId, type: 'configured'): Promise<unknown>
}>

export type RelayComponents = Readonly<{
  mesh: Mesh
  /** The best first. */
  relays: () => readonly PeerAddress[]
  clock: Clock
  logger: Logger
}>

export interface RelayPlaces {
  /** Whether places are wanted: not while we can be dialled. */
  setWanted(wanted: boolean): void
  /** Relays at which a place is held. */
  held(): readonly PeerId[]
  stop(): void
}

/** Keeps places until `stop()`; wanted none at first. */
export function createRelayPlaces({ mesh, relays, clock, logger }: RelayComponents): RelayPlaces {
  const { transportManager } = mesh.services.inner
  const places = transportManager.getTransports().map(placesOf).find(Boolean)
  const listened = new Set<PeerId>()
  const asking = new Set<PeerId>()
  const stopped = new AbortController()
  let wanted = false

  const has = (peer: PeerId): boolean => places?.hasReservation(toLibp2pPeerId(peer)) ?? false

  const take = async (relay: PeerAddress): Promise<void> => {
    const { peer } = relay
    asking.add(peer)
    try {
      // libp2p never again asks a relay that once could not be dialled: so that is done here.
      await dialPeer(mesh, relay, { signal: stopped.signal })
      // The listener of the first time takes up what is reserved again later.
      if (listened.has(peer)) await places?.addRelay(toLibp2pPeerId(peer), 'configured')
      else await transportManager.listen([multiaddr(`/p2p/${peer}/p2p-circuit`)])
      listened.add(peer)
      logger.debug({ relay: peer }, 'holds a place at a relay')
    } catch (error) {
      if (stopped.signal.aborted) return
      logger.debug({ relay: peer, error }, 'no place at a relay')
      await clock.sleep(retryMs, { signal: stopped.signal }).catch(() => undefined)
    } finally {
      asking.delete(peer)
    }
    if (!has(peer)) fill()
  }
  const fill = (): void => {
    if (!wanted || stopped.signal.aborted) return
    const taken = relays().filter(({ peer }) => has(peer) || asking.has(peer)).length
    const free = relays().filter(({ peer }) => !has(peer) && !asking.has(peer))
    for (const relay of free.slice(0, Math.max(0, wantedPlaces - taken))) void take(relay)
  }
  const onIdentify = ({ detail }: CustomEvent<{ peerId: Libp2pPeerId }>): void => {
    const peer = peerIdOf(detail.peerId)
    if (relays().some((relay) => relay.peer === peer)) fill()
  }
  mesh.addEventListener('peer:identify', onIdentify)
  return {
    setWanted(next) {
      wanted = next
      fill()
    },
    held: () => relays().flatMap(({ peer }) => (has(peer) ? [peer] : [])),
    stop() {
      wanted = false
      stopped.abort(new Error('no places are wanted any more'))
      mesh.removeEventListener('peer:identify', onIdentify)
    },
  }
}

function placesOf(transport: Transport): Places | undefined {
  return (transport as Partial<{ reservationStore: Places }>).reservationStore
}
