/**
 * Meeting another home at a rendezvous: going there from a punch port, hearing where the other is,
 * and dialling it from that port. The half of punching that both sides do alike.
 */
import { networkInterfaces } from 'node:os'
import type { Connection } from '@libp2p/interface'
import { isPrivateIp } from '@libp2p/utils'
import type { PeerId } from '../ids.ts'
import { type Mesh, type PeerAddress, toLibp2pPeerId } from '../mesh/index.ts'
import { openChannel } from '../wire/index.ts'
import { endpointOf, type Family, isPrivateEndpoint } from './endpoint.ts'
import { PunchError, type PunchRefusal } from './errors.ts'
import { dialFromPort, drawPort, openAtOnce } from './open-at-once.ts'
import {
  type PunchAnswer,
  type PunchAsk,
  punchAnswerCodec,
  punchAskCodec,
  punchLimits,
  punchProtocol,
} from './punch-wire.ts'

/** Nearly all that work do so at the first try, in milliseconds (arXiv 2510.27500). */
const punchMs = 4_000
const sayMs = 6_000
/** From the ask to the end of the last dial. */
export const meetMs = sayMs + punchMs
const portTries = 4

/** Who is met where, as the rendezvous told it. */
export type Appointment = Readonly<{ peer: PeerId; token: Uint8Array; family: Family }>

export interface MeetingPoint {
  /** By which a rendezvous can be come to, IPv6 first: it has no NAT to fool. */
  familiesTo(place: PeerAddress): Family[]
  /**
   * Goes to the rendezvous and dials the other from there.
   * @throws {PunchError} @throws what the dial to the rendezvous throws.
   */
  meet(place: PeerAddress, with_: Appointment, signal: AbortSignal): Promise<Connection>
  /** Whether a connection came of `meet`. */
  isPunched(connection: Connection): boolean
}

/** Meeting points of one host. @param allowPrivate private addresses may be dialled (a LAN, a test). */
export function createMeetingPoint(
  { allowPrivate }: Readonly<{ allowPrivate: boolean }>,
  { mesh, random }: Readonly<{ mesh: Mesh; random: () => number }>,
): MeetingPoint {
  const { inner } = mesh.services
  const punched = new WeakSet<Connection>()
  /** Families by which we can come to this rendezvous, IPv6 first: it has no NAT to fool. */
  const familiesTo = (place: PeerAddress): Family[] => {
    const known = endpointsOf(mesh, place).map(({ family }) => family)
    return ([6, 4] as const).filter(
      (family) => known.includes(family) && hasFamily(family, allowPrivate),
    )
  }

  /** Goes to the rendezvous from a punch port, hears where the other is, and dials it from there. */
  const meet = async (
    place: PeerAddress,
    { peer, token, family }: { peer: PeerId; token: Uint8Array; family: Family },
    signal: AbortSignal,
  ): Promise<Connection> => {
    const at = endpointsOf(mesh, place).find((endpoint) => endpoint.family === family)
    if (!at) throw new PunchError(peer, 'NO_RENDEZVOUS')
    const [there, localPort] = await comeFromFreePort(place.peer, at, signal)
    try {
      const answer = await say(there, { t: 'here', token }, signal)
      if (answer.t !== 'go') throw new PunchError(peer, reasonOf(answer))
      const target = endpointOf(answer.address)
      if (target?.family !== family || (isPrivateEndpoint(target) && !allowPrivate)) {
        throw new PunchError(peer, 'NO_COMMON_FAMILY')
      }
      const until = AbortSignal.any([signal, AbortSignal.timeout(punchMs)])
      const { first } = answer
      const known = (): Connection | undefined => directTo(mesh, peer)
      const open = { peer, at: target, localPort, first, known }
      // The mapping in our router lives as long as the connection to the rendezvous.
      const opened = openAtOnce(inner, open, { signal: until, random })
      const connection = await opened.catch((cause: unknown) => {
        throw new PunchError(peer, 'FAILED', { cause })
      })
      punched.add(connection)
      return connection
    } finally {
      there
        .close({ signal: AbortSignal.timeout(1_000) })
        .catch((error: Error) => there.abort(error))
    }
  }

  const comeFromFreePort = async (
    peer: PeerId,
    at: Parameters<typeof dialFromPort>[1]['at'],
    signal: AbortSignal,
  ): Promise<readonly [Connection, number]> => {
    for (let left = portTries; ; left--) {
      const localPort = drawPort(random)
      try {
        return [await dialFromPort(inner, { peer, at, localPort }, { signal }), localPort]
      } catch (error) {
        if (left <= 1 || signal.aborted) throw error
      }
    }
  }

  return { familiesTo, meet, isPunched: (connection) => punched.has(connection) }
}

/** An open connection to a peer that no relay carries. */
export function directTo(mesh: Mesh, peer: PeerId): Connection | undefined {
  return mesh
    .getConnections(toLibp2pPeerId(peer))
    .find(({ status, limits }) => status === 'open' && !limits)
}

/** One question at a rendezvous, and its answer. */
export async function say(
  there: Connection,
  ask: PunchAsk,
  signal: AbortSignal,
): Promise<PunchAnswer> {
  const until = AbortSignal.any([signal, AbortSignal.timeout(sayMs)])
  const stream = await there.newStream(punchProtocol, { signal: until })
  const channel = openChannel(stream, {
    ...{ inbound: punchAnswerCodec, outbound: punchAskCodec, ...punchLimits },
  })
  try {
    await channel.write(ask, { signal: until })
    const { message } = await channel.read({ signal: until })
    return message
  } finally {
    if (ask.t === 'ask') await channel.close({ signal: until }).catch(() => undefined)
  }
}

/** Why an answer is not the wanted one. */
export function reasonOf(answer: PunchAnswer): PunchRefusal {
  return answer.t === 'refused' ? answer.reason : 'FAILED'
}

/** Where a rendezvous is, its own connection's address included. */
function endpointsOf(mesh: Mesh, { peer, addresses }: PeerAddress) {
  const seen = mesh
    .getConnections(toLibp2pPeerId(peer))
    .filter(({ direction, limits }) => direction === 'outbound' && !limits)
    .map(({ remoteAddr }) => remoteAddr.toString())
  return [...seen, ...addresses].flatMap((address) => endpointOf(address) ?? [])
}

/** Whether this machine has an address of the family that leads out of its home. */
function hasFamily(family: Family, allowPrivate: boolean): boolean {
  if (family === 4) return true
  return Object.values(networkInterfaces()).some((addresses = []) =>
    addresses.some(
      ({ family: kind, address, internal }) =>
        kind === 'IPv6' &&
        !internal &&
        !/^f[cde]/i.test(address) &&
        (allowPrivate || !isPrivateIp(address)),
    ),
  )
}
