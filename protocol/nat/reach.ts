/**
 * What this host knows of its own reachability, over IPv4 and IPv6 separately: asked at the start,
 * when addresses change, and now and then; confirmed addresses are told to others by identify, the
 * DHT and the coordinator, unconfirmed ones are not.
 */
import type { Connection } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log/index.ts'
import { isRelayed, type Mesh, type PeerAddress, peerIdOf, toLibp2pPeerId } from '../mesh/index.ts'
import type { Signed } from '../wire/index.ts'
import { askDialBack, type SignedVerdict } from './ask-dial-back.ts'
import { endpointOf, type Family, formatEndpoint } from './endpoint.ts'

/** `public`: dialled back. `nat`: not reached. `unknown`: nobody could tell, or there is no such address. */
export type Reachability = 'public' | 'nat' | 'unknown'
export type Reach = Readonly<{ ipv4: Reachability; ipv6: Reachability }>

export const unknownReach: Reach = { ipv4: 'unknown', ipv6: 'unknown' }

/** A router's lease, a provider's nightly reconnect: half an hour late is soon enough. */
const recheckMs = 1_800_000
/** While nobody could tell. */
const retryMs = 60_000
/** How often this host's own list of addresses is looked at; that asks nobody. */
const lookMs = 2_000
/** Several changes come together, and a router needs a moment. */
const settleMs = 1_000
const askMs = 6_000
/** Confirmed addresses run out by themselves when re-checks stop. */
const confirmedMs = 2 * recheckMs

export type ReachComponents = Readonly<{
  mesh: Mesh
  /** Who dials back: the coordinator and caches. */
  judges: () => readonly PeerAddress[]
  /** Called when what is known changes. */
  onChange?: (reach: Reach) => void
  clock: Clock
  logger: Logger
}>

export interface ReachWatch {
  readonly now: Reach
  /** The newest verdict of each family. */
  readonly verdicts: readonly Signed[]
  /** Asks soon: an address may have changed. */
  checkSoon(): void
  stop(): Promise<void>
}

type Found = { readonly state: Reachability; readonly told?: SignedVerdict }

/** Watches until `stop()`. Asks for the first time as soon as a judge is connected. */
export function watchReach({
  mesh,
  judges,
  onChange = () => undefined,
  clock,
  logger,
}: ReachComponents): ReachWatch {
  const { addressManager } = mesh.services.inner
  const self = peerIdOf(mesh.peerId)
  const stopped = new AbortController()
  const found = new Map<Family, Found>()
  const confirmed = new Map<Family, readonly string[]>()
  let wake = new AbortController()
  let now: Reach = unknownReach

  /** Ports that we listen on, and those that a router says it forwards. */
  const portsOf = (family: Family): number[] => {
    const ports = addressManager
      .getAddressesWithMetadata()
      .flatMap(({ multiaddr: address }) => endpointOf(address.toString()) ?? [])
      .filter((endpoint) => endpoint.family === family)
      .map(({ port }) => port)
    return [...new Set(ports)]
  }
  const apply = (family: Family, { verdict }: SignedVerdict): void => {
    const open = verdict.open.map((port) => formatEndpoint({ family, ip: verdict.ip, port }))
    for (const address of confirmed.get(family) ?? []) {
      if (!open.includes(address)) addressManager.removeObservedAddr(multiaddr(address))
    }
    for (const address of open) {
      // Named a type: an address that was confirmed, lost and found again is else ignored.
      addressManager.confirmObservedAddr(multiaddr(address), { type: 'observed', ttl: confirmedMs })
    }
    confirmed.set(family, open)
  }
  const check = async (family: Family): Promise<Found> => {
    const ports = portsOf(family)
    if (ports.length === 0) return { state: 'unknown' }
    for (const judge of judges()) {
      if (judge.peer === self) continue
      const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(askMs)])
      try {
        await using line = await lineTo(mesh, judge, family, signal)
        if (!line) continue
        const told = await askDialBack(line.connection, { self, ports }, { signal })
        apply(family, told)
        return { state: told.verdict.open.length > 0 ? 'public' : 'nat', told }
      } catch (error) {
        if (stopped.signal.aborted) break
        logger.debug({ judge: judge.peer, family, error }, 'could not be dialled back')
      }
    }
    return { state: 'unknown' }
  }
  const checkAll = async (): Promise<void> => {
    for (const family of [4, 6] as const) {
      const before = found.get(family)
      const next = await check(family)
      // Judges that are away for a while do not make what they said untrue.
      if (next.state !== 'unknown' || !before) found.set(family, next)
    }
    const stateOf = (family: Family): Reachability => found.get(family)?.state ?? 'unknown'
    const next: Reach = { ipv4: stateOf(4), ipv6: stateOf(6) }
    if (next.ipv4 === now.ipv4 && next.ipv6 === now.ipv6) return
    now = next
    logger.info({ reach: now }, 'how this host is reached')
    onChange(now)
  }
  /** All addresses that this host may have, confirmed or not: a router's forwarding has no event. */
  const addressKey = (): string =>
    addressManager
      .getAddressesWithMetadata()
      .map(({ multiaddr: address, type }) => `${type} ${address.toString()}`)
      .filter((entry) => !entry.startsWith('observed') && !isRelayed(entry))
      .sort()
      .join()
  const nap = (ms: number, signal: AbortSignal): Promise<void> =>
    clock.sleep(ms, { signal }).catch(() => undefined)

  const run = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      await nap(settleMs, stopped.signal)
      wake = new AbortController()
      const woken = AbortSignal.any([stopped.signal, wake.signal])
      const checked = addressKey()
      await checkAll().catch((error: unknown) => logger.error({ error }, 'reach was not checked'))
      const known = now.ipv4 !== 'unknown' || now.ipv6 !== 'unknown'
      const againMs = clock.nowMs() + (known ? recheckMs : retryMs)
      while (!woken.aborted && addressKey() === checked && clock.nowMs() < againMs) {
        await nap(lookMs, woken)
      }
    }
  }

  const onConnect = (): void => {
    if (now === unknownReach) wake.abort()
  }
  mesh.addEventListener('peer:connect', onConnect)
  const running = run()
  return {
    get now() {
      return now
    },
    get verdicts() {
      return [...found.values()].flatMap(({ told }) => (told ? [told.signed] : []))
    },
    checkSoon: () => wake.abort(),
    async stop() {
      mesh.removeEventListener('peer:connect', onConnect)
      stopped.abort(new Error('reach is watched no more'))
      await running
    },
  }
}

type Line = AsyncDisposable & { readonly connection: Connection }

/** A connection of this family to a judge: one that is open, or one for this question alone. */
async function lineTo(
  mesh: Mesh,
  { peer, addresses }: PeerAddress,
  family: Family,
  signal: AbortSignal,
): Promise<Line | undefined> {
  const open = mesh
    .getConnections(toLibp2pPeerId(peer))
    .filter(({ status, limits }) => status === 'open' && !limits)
  const fits = open.find(({ remoteAddr }) => endpointOf(remoteAddr.toString())?.family === family)
  if (fits) return { connection: fits, [Symbol.asyncDispose]: async () => undefined }
  const at = addresses.flatMap((address) => endpointOf(address) ?? [])
  const target = at.find((endpoint) => endpoint.family === family)
  // Who is not connected at all may be away: a kept link is somebody else's business.
  if (!target || open.length === 0) return undefined
  const connection = await mesh.services.inner.transportManager.dial(
    multiaddr(`${formatEndpoint(target)}/p2p/${peer}`),
    { signal },
  )
  return {
    connection,
    async [Symbol.asyncDispose]() {
      await connection.close().catch((error: Error) => connection.abort(error))
    },
  }
}
