/**
 * What stands between a peer's hello and its session: whether this coordinator may order at all, and
 * whether the peer holds something that a restored store has to take up first.
 */
import type { Hello } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { Mesh } from '../../protocol/mesh/index.ts'
import type { Network } from '../../protocol/network/index.ts'
import type { Store } from '../../protocol/store/index.ts'
import type { BanBook } from '../bans/index.ts'
import { SessionRefusedError } from '../sessions/index.ts'
import { type Authority, openAuthority } from './authority.ts'
import { createContinueBans } from './continue-bans.ts'
import { inspectHello, type StoreFacts } from './inspect-hello.ts'
import { openTerms, type Terms } from './terms.ts'

export interface Restore {
  readonly terms: Terms
  readonly authority: Authority
  /** @throws {SessionRefusedError} COORDINATOR_DEPOSED, CATCHING_UP: not now. */
  admit(peer: PeerId, hello: Hello, facts: Omit<StoreFacts, 'terms'>): void
  stop(): Promise<void>
}

export type RestoreComponents = Readonly<{
  store: Store
  mesh: Mesh
  bans: BanBook
  nowMs: () => number
  /** Nothing more is to be ordered. */
  onLost: () => void
  logger: Logger
}>

/** Puts the network's term on record. @throws {DeposedError} */
export async function openRestore(
  network: Network,
  { store, mesh, bans, nowMs, onLost, logger }: RestoreComponents,
): Promise<Restore> {
  const terms = await openTerms(network, { store, banNumber: bans.number })
  const authority = await openAuthority(terms.current, { store, nowMs, onLost, logger })
  const continueBans = createContinueBans({ mesh, bans, terms, authority, logger })
  return {
    terms,
    authority,
    admit(peer, hello, facts) {
      const found = inspectHello(peer, hello, { terms, ...facts })
      if (found) authority.lose(found.kind, found.evidence)
      if (authority.doubt?.kind === 'deposed') {
        throw new SessionRefusedError('COORDINATOR_DEPOSED', 'another coordinates by now')
      }
      if (continueBans.mustWaitFor(peer, hello)) {
        throw new SessionRefusedError('CATCHING_UP', 'a newer ban list is asked for; come back')
      }
    },
    async stop() {
      await continueBans.stop()
      await authority.kept()
    },
  }
}
