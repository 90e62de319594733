/**
 * All that makes a home reachable, wired once for each kind of host: a home asks to be dialled
 * back, holds places at relays while it cannot be, and punches; those that all know dial back,
 * relay and introduce.
 */
import type { Connection } from '@libp2p/interface'
import type { Clock } from '../clock.ts'
import type { PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import type { Mesh, PeerAddress } from '../mesh/index.ts'
import type { Signer } from '../signing/index.ts'
import type { Signed } from '../wire/index.ts'
import { serveDialBack } from './dial-back.ts'
import { startPuncher } from './puncher.ts'
import { type Reach, watchReach } from './reach.ts'
import { countRelayedBytes } from './relayed-bytes.ts'
import { createRelayPlaces } from './relays.ts'
import { startRendezvous } from './rendezvous.ts'

export type HomesInit = Readonly<{
  /** Private addresses may be dialled and told: a network within one LAN, a testbed. */
  allowPrivate: boolean
}>

export type HelperComponents = Readonly<{
  mesh: Mesh
  signer: Signer
  /** Whether a peer is of this network. */
  isMember: (peer: PeerId) => boolean
  clock: Clock
  wallMs: () => number
  logger: Logger
}>

/** Dials back and introduces, until the function that it resolves with is called. */
export async function startHelper(
  init: HomesInit,
  components: HelperComponents,
): Promise<() => Promise<void>> {
  const stopDialBack = await serveDialBack(init, components)
  const rendezvous = await startRendezvous(init, components)
  return async () => {
    await rendezvous.stop()
    await stopDialBack()
  }
}

export type HomeComponents = Readonly<{
  mesh: Mesh
  /** The coordinator, then caches: they dial back, relay and introduce. */
  helpers: () => readonly PeerAddress[]
  onChange?: (reach: Reach) => void
  clock: Clock
  /** Uniform in [0, 1). */
  random: () => number
  logger: Logger
}>

export interface HomeReach {
  readonly now: Reach
  /** The newest signed verdict of each family. */
  readonly verdicts: readonly Signed[]
  /** Holes punched and not, since the start. */
  readonly punches: Readonly<{ punched: number; failed: number }>
  /** Whether a connection came of punching. */
  isPunched(connection: Connection): boolean
  /** Said and heard over relays, since the start. */
  readonly relayedBytes: number
  stop(): Promise<void>
}

/** Makes this host as reachable as it can be, until `stop()`. @param punch also by hole punching and relays. */
export async function startHome(
  { allowPrivate, punch }: HomesInit & Readonly<{ punch: boolean }>,
  { mesh, helpers, onChange, clock, random, logger }: HomeComponents,
): Promise<HomeReach> {
  const places = createRelayPlaces({
    mesh,
    relays: helpers,
    clock,
    logger,
  })
  const puncher = punch
    ? await startPuncher({ allowPrivate }, { mesh, rendezvous: helpers, clock, random, logger })
    : undefined
  const relayed = countRelayedBytes(mesh)
  const watch = watchReach({
    mesh,
    judges: helpers,
    onChange(reach) {
      const dialable = reach.ipv4 === 'public' || reach.ipv6 === 'public'
      const known = reach.ipv4 === 'nat' || reach.ipv6 === 'nat'
      places.setWanted(punch && known && !dialable)
      onChange?.(reach)
    },
    ...{ clock, logger },
  })
  return {
    get now() {
      return watch.now
    },
    get verdicts() {
      return watch.verdicts
    },
    get punches() {
      return puncher?.counts ?? { punched: 0, failed: 0 }
    },
    isPunched: (connection) => puncher?.isPunched(connection) ?? false,
    get relayedBytes() {
      return relayed.bytes
    },
    async stop() {
      await watch.stop()
      relayed.stop()
      places.stop()
      await puncher?.stop()
    },
  }
}
