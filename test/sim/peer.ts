/**
 * What a simulated node and a simulated cache have in common, wired from the parts that real ones
 * run: term, lists, coordinator's time, one-time keys and the control stream. Host and disk are the
 * world's.
 */
import {
  type ControlLink,
  createCoordinatorTime,
  type Hello,
} from '../../protocol/control/index.ts'
import type { Identity } from '../../protocol/identity/index.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import type { Network } from '../../protocol/network/index.ts'
import { openPeerAuditHeads } from '../../protocol/peer/audit-heads.ts'
import { startBanFeed } from '../../protocol/peer/ban-feed.ts'
import { createPeerControl, type PeerControlHandlers } from '../../protocol/peer/control.ts'
import { openPeerLists } from '../../protocol/peer/lists.ts'
import { createOneTimeKeys } from '../../protocol/peer/one-time-keys.ts'
import { openPeerTerm } from '../../protocol/peer/term.ts'
import { createPulseKeeper, servePulse } from '../../protocol/pulse/index.ts'
import type { KeyRing } from '../../protocol/sealing/index.ts'
import type { Store } from '../../protocol/store/index.ts'
import type { Life } from './world/machine.ts'
import type { SimHost } from './world/network.ts'

/** Few: each costs a scalar multiplication, and an order uses up one. */
const keysOffered = 4

export type SimPeerInit = Readonly<{
  role: Hello['role']
  network: Network
  identity: Identity
  ring: KeyRing
  store: Store
  host: SimHost
  life: Life
  random: () => number
}>

/** A peer of one process life; speaks to nobody before `connect`. */
export async function openSimPeer(init: SimPeerInit) {
  const { role, network, identity, ring, store, host, life, random } = init
  const { clock } = life
  const { mesh } = host
  const logger = silentLogger
  const term = await openPeerTerm(network, { store })
  const lists = await openPeerLists({}, { store, keeper: term.keeper })
  const auditHeads = await openPeerAuditHeads({ store, keeper: term.keeper })
  const time = createCoordinatorTime({ clock })
  const keys = createOneTimeKeys(
    { identity, network: network.network, freshCount: keysOffered },
    { ring },
  )
  const pulses = createPulseKeeper({ keeper: term.keeper, logger })
  await servePulse({ mesh, pulses, clock })
  const bans = await startBanFeed({
    ...{ mesh, lists, clock, random, logger },
    isUp: () => link?.isUp ?? false,
  })
  let link: ControlLink | undefined
  return {
    keeper: term.keeper,
    ...{ mesh, network, pulses, lists, time, keys },
    connect(handlers: PeerControlHandlers): ControlLink {
      link = createPeerControl(
        {
          ...{ role, version: 'simulated', coordinatorAddrs: network.coordinatorAddrs, handlers },
          onSecret: () => undefined,
          verdicts: () => [],
        },
        { mesh, term, time, lists, auditHeads, bans, keys, pulses, clock, random, logger },
      )
      return link
    },
  }
}
export type SimPeer = Awaited<ReturnType<typeof openSimPeer>>
