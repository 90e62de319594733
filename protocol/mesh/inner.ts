/**
 * The parts of a libp2p host that its public face hides and that homes behind NAT need: a dial past
 * the dial queue, an upgrade in a chosen role, addresses confirmed by somebody else than AutoNAT.
 * Without this place every such need would reach into libp2p in a way of its own.
 */
import type { CircuitRelayTransportComponents } from '@libp2p/circuit-relay-v2'
import { type Connection, serviceCapabilities } from '@libp2p/interface'
import type { PeerId } from '../ids.ts'

type Components = Pick<
  CircuitRelayTransportComponents,
  'upgrader' | 'addressManager' | 'transportManager' | 'logger'
>

/**
 * A direct way to a peer whose addresses do not answer.
 * @throws {PotluckError} there is none now; the signal's reason.
 */
export type Detour = (
  peer: PeerId,
  options: { readonly signal: AbortSignal },
) => Promise<Connection>

export interface MeshInner extends Readonly<Components> {
  /** Tried by `dialPeer` beside the addresses; set by who can punch (protocol/nat). */
  detour: Detour | undefined
}

/** The service, for `createLibp2p`. */
export function inner() {
  return (components: Components): MeshInner => ({
    get upgrader() {
      return components.upgrader
    },
    get addressManager() {
      return components.addressManager
    },
    get transportManager() {
      return components.transportManager
    },
    get logger() {
      return components.logger
    },
    detour: undefined,
    // UPnP asks for somebody who confirms its mappings. AutoNAT wants four answers from four /8
    // networks, which a young network never has; here the dial-backs of protocol/nat do it.
    ...{ [serviceCapabilities]: ['@potluck/mesh-inner', '@libp2p/autonat'] },
  })
}
