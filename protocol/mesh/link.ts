/**
 * A connection that is wanted for good: a node's to its coordinator. It dials, tags the connection
 * so that the pruner spares it, and dials again when it breaks, later and later, with jitter: after
 * a coordinator's restart all nodes return, and must not do so in step.
 * Back-off: "full jitter" (Brooker, "Exponential Backoff And Jitter", AWS 2015).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection } from '@libp2p/interface'
import { isPrivate } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../clock.ts'
import type { PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import type { Mesh } from './create-mesh.ts'
import { PeerUnreachableError } from './errors.ts'
import { peerIdOf, toLibp2pPeerId } from './identity.ts'
import { peerDialMs } from './limits.ts'

/** A peer and where it may be: multiaddrs, with or without `/p2p/`. */
export type PeerAddress = Readonly<{ peer: PeerId; addresses: readonly string[] }>

/** Not `keep-alive…`: libp2p's own reconnect queue would dial beside us, then drop the tag. */
const linkTag = 'potluck-link'

/** Of one that is patient: half of the others are through before it tries. */
const patientFactor = 2

/** Before punching is tried beside addresses that may answer: a good round trip, or one on a LAN. */
const wideHeadStartMs = 1_000
const lanHeadStartMs = 100

export type DialOptions = Readonly<{
  signal: AbortSignal
  timeoutMs?: number
  /** A relayed connection will do where there is no direct way: for control, never for bulk. */
  relayed?: boolean
}>

/**
 * Connects to a peer, or takes the connection that is open already: by its addresses, beside them
 * by a detour (hole punching) where there is one, and by a relay last, if that will do.
 * @throws {PeerUnreachableError} no way leads there within `timeoutMs`.
 * @throws the signal's reason when aborted.
 */
export async function dialPeer(
  mesh: Mesh,
  { peer, addresses }: PeerAddress,
  { signal, timeoutMs = peerDialMs, relayed = false }: DialOptions,
): Promise<Connection> {
  const id = toLibp2pPeerId(peer)
  const open = mesh.getConnections(id).filter((connection) => connection.status === 'open')
  const known = open.find((connection) => !connection.limits) ?? (relayed ? open[0] : undefined)
  if (known) return known
  const deadline = new AbortController()
  const timer = setTimeout(
    () => deadline.abort(new Error(`no answer in ${timeoutMs} ms`)),
    timeoutMs,
  )
  const until = AbortSignal.any([signal, deadline.signal])
  const direct = addresses.filter((address) => !isRelayed(address))
  const circuits = addresses.filter(isRelayed)
  try {
    const way = { peer, addresses: direct, lookUp: addresses.length === 0 }
    return await dialDirect(mesh, way, until).catch(async (error: unknown) => {
      if (!relayed || circuits.length === 0) throw error
      return await mesh.dial(targetsOf(circuits, peer), { signal: until })
    })
  } catch (cause) {
    signal.throwIfAborted()
    throw new PeerUnreachableError(peer, addresses.length, { cause })
  } finally {
    clearTimeout(timer)
  }
}

/** Addresses first; punching joins in if they do not answer soon. The slower way is given up. */
async function dialDirect(
  mesh: Mesh,
  { peer, addresses, lookUp }: PeerAddress & { readonly lookUp: boolean },
  signal: AbortSignal,
): Promise<Connection> {
  const { detour } = mesh.services.inner
  const won = new AbortController()
  const until = AbortSignal.any([signal, won.signal])
  // One that is known to be at relays only has no address that the DHT could tell.
  const plain =
    addresses.length > 0 || lookUp
      ? dialAddresses(mesh, peer, addresses, until)
      : Promise.reject(new PeerUnreachableError(peer, 0))
  if (!detour) return await plain
  const headStartMs = addresses.some(isWide) ? wideHeadStartMs : lanHeadStartMs
  const around = (async () => {
    // A dial that fails ends the wait; one that succeeds makes the rest of this needless.
    const waited = sleep(headStartMs, undefined, { signal: until, ref: false })
    await Promise.race([waited, plain.then(() => waited).catch(() => undefined)])
    until.throwIfAborted()
    return await detour(peer, { signal: until })
  })()
  try {
    return await Promise.any([plain, around])
  } catch (error) {
    // Why the addresses failed says more than why the detour did.
    throw error instanceof AggregateError ? error.errors[0] : error
  } finally {
    won.abort(new Error('another way was quicker'))
  }
}

async function dialAddresses(
  mesh: Mesh,
  peer: PeerId,
  addresses: readonly string[],
  signal: AbortSignal,
): Promise<Connection> {
  const target = addresses.length > 0 ? targetsOf(addresses, peer) : toLibp2pPeerId(peer)
  const connection = await mesh.dial(target, { signal })
  if (connection.limits) throw new PeerUnreachableError(peer, addresses.length)
  return connection
}

function targetsOf(addresses: readonly string[], peer: PeerId) {
  return addresses.map((address) => withPeerId(address, peer))
}

/** Whether the address is a place at a relay. */
export function isRelayed(address: string): boolean {
  return address.includes('/p2p-circuit')
}

/** Whether the address may lead across the internet; names count. */
function isWide(address: string): boolean {
  return !isPrivate(multiaddr(address))
}

function withPeerId(text: string, peer: PeerId) {
  return multiaddr(text.endsWith(`/p2p/${peer}`) ? text : `${text}/p2p/${peer}`)
}

export interface Link {
  /** The open connection, or undefined while there is none. */
  connection(): Connection | undefined
  /** Resolves with an open connection. @throws the signal's reason. */
  connected(options: { readonly signal: AbortSignal }): Promise<Connection>
  /** Dials at once if down, forgetting the back-off. */
  retryNow(): void
  /** Lets go; the connection stays for whoever else uses it. */
  stop(): Promise<void>
}

export type LinkInit = PeerAddress &
  Readonly<{
    /** The first wait is drawn from 0 to this; it doubles up to `retryMaxMs`. */
    retryMinMs?: number
    retryMaxMs?: number
    /** False: others have more need of the peer, and this one waits longer between dials. */
    isUrgent?: () => boolean
    onUp?: (connection: Connection) => void
    onDown?: () => void
  }>

/** Keeps a connection to one peer until `stop()` or `signal`. Starts to dial at once. */
export function createLink(
  { peer, addresses, retryMinMs = 250, retryMaxMs = 10_000, isUrgent, onUp, onDown }: LinkInit,
  components: Readonly<{
    mesh: Mesh
    clock: Clock
    /** Uniform in [0, 1). */
    random: () => number
    logger: Logger
    signal?: AbortSignal
  }>,
): Link {
  const { mesh, clock, random } = components
  const logger = components.logger.child({ peer })
  const stopped = new AbortController()
  const signal = components.signal
    ? AbortSignal.any([stopped.signal, components.signal])
    : stopped.signal
  let current: Connection | undefined
  let nap = new AbortController()
  let up = Promise.withResolvers<Connection>()

  const isOurs = (event: CustomEvent<Connection>): boolean =>
    peerIdOf(event.detail.remotePeer) === peer
  let lost = Promise.withResolvers<void>()
  const onClose = (event: CustomEvent<Connection>): void => {
    if (!isOurs(event) || event.detail !== current) return
    current = undefined
    up = Promise.withResolvers()
    onDown?.()
    lost.resolve()
  }

  const run = async (): Promise<void> => {
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        current = await dialPeer(mesh, { peer, addresses }, { signal })
        lost = Promise.withResolvers()
        if (current.status !== 'open') {
          current = undefined
          throw new PeerUnreachableError(peer, addresses.length)
        }
        await mesh.peerStore.merge(toLibp2pPeerId(peer), { tags: { [linkTag]: { value: 100 } } })
        logger.debug({ attempt }, 'link is up')
        if (current) {
          up.resolve(current)
          onUp?.(current)
          await until(lost.promise, signal)
          attempt = -1
        }
      } catch (error) {
        if (signal.aborted) break
        logger.debug({ attempt, error }, 'link could not be made')
      }
      const tries = Math.min(Math.max(attempt, 0), 20)
      const isPatient = isUrgent?.() === false
      const capMs = retryCapMs(tries, { retryMinMs, retryMaxMs, isPatient })
      nap = new AbortController()
      await clock
        .sleep(random() * capMs, { signal: AbortSignal.any([nap.signal, signal]) })
        .catch(() => undefined)
    }
  }

  mesh.addEventListener('connection:close', onClose)
  const running = run().finally(() => mesh.removeEventListener('connection:close', onClose))
  return {
    connection: () => current,
    connected: (options) => until(up.promise, AbortSignal.any([options.signal, signal])),
    retryNow: () => nap.abort(),
    async stop() {
      stopped.abort(new Error('the link was stopped'))
      await running
      await mesh.peerStore
        .merge(toLibp2pPeerId(peer), { tags: { [linkTag]: undefined } })
        .catch(() => undefined)
    },
  }
}

/** The most that is waited after so many tries. */
export function retryCapMs(
  tries: number,
  at: Readonly<{ retryMinMs: number; retryMaxMs: number; isPatient: boolean }>,
): number {
  const { retryMinMs, retryMaxMs, isPatient } = at
  const capMs = Math.min(retryMaxMs, retryMinMs * 2 ** tries)
  return isPatient ? patientFactor * capMs : capMs
}

/** `promise`, or the signal's reason. */
async function until<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const stop = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
