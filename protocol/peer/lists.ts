/**
 * The coordinator's roster and ban list as this peer knows them: verified, persisted, never gone
 * back on. Without it a peer that restarts while the coordinator is away would let banned peers in
 * and not know a cache from a stranger.
 */
import { createHash } from 'node:crypto'
import type { PeerId } from '../ids.ts'
import {
  type BanList,
  type BanNews,
  banListAfter,
  banListCodec,
  judgeBanList,
  judgeRoster,
  type PeerHint,
  type Roster,
  rosterCodec,
  type TermKeeper,
} from '../orders/index.ts'
import type { Store, StoreOperation } from '../store/index.ts'
import type { Signed } from '../wire/index.ts'
import { peerRecords } from './records.ts'

export interface PeerLists {
  /** 0 before the first. */
  readonly rosterNumber: number
  readonly banNumber: number
  /** The newest ban list as signed, to be shown to others; undefined before the first. */
  readonly signedBans: Signed | undefined
  isCache(peer: PeerId): boolean
  isBanned(peer: PeerId): boolean
  /** Where the roster's members of this role are dialled. */
  members(role: Roster['members'][number]['role']): readonly PeerHint[]
  /**
   * Verifies what is newer, writes it down, then applies it.
   * @throws {BadSignatureError} @throws {MalformedMessageError}
   * @throws {OrderRefusedError} STALE_LIST, BROKEN_CHAIN, STALE_TERM, UNKNOWN_TERM, WRONG_NETWORK
   */
  take(lists: { readonly roster?: Signed; readonly bans?: Signed }): Promise<void>
  /**
   * Takes the next ban list as a change of the one held. `gap`: another list than the one held is
   * its base, so the whole list must be asked for; nothing was verified then.
   * @throws as {@link take}
   */
  takeBanNews(news: BanNews): Promise<'taken' | 'known' | 'gap'>
}

export type PeerListsInit = Readonly<{
  /** Called for each peer that a newer list bans, once the list is on disk. */
  onBanned?: (peer: PeerId) => void
}>

type HeldBans = Readonly<{ list: BanList; hash: Uint8Array; signed: Signed; peers: Set<PeerId> }>

/**
 * Loads what was persisted. It was verified when it came, under a term that may be over, so its
 * signature is not asked for again.
 * @throws {StoreRecordError} @throws {MalformedMessageError} what is remembered is damaged.
 */
export async function openPeerLists(
  { onBanned = () => undefined }: PeerListsInit,
  { store, keeper }: { readonly store: Store; readonly keeper: TermKeeper },
): Promise<PeerLists> {
  const records = peerRecords(store)
  const [signedRoster, signedBans] = await Promise.all([records.get('roster'), records.get('bans')])
  let roster = signedRoster && rosterCodec.decode(signedRoster.payload)
  let bans = signedBans && holdBans(banListCodec.decode(signedBans.payload), signedBans)
  /** One take at a time: an older list must not be written over a newer one. */
  let turn: Promise<unknown> = Promise.resolve()

  const takeNow = async (lists: { roster?: Signed; bans?: Signed }): Promise<void> => {
    const operations: StoreOperation[] = []
    let nextRoster = roster
    let nextBans = bans
    if (lists.roster) {
      const offered = keeper.open('roster', lists.roster, rosterCodec)
      if (judgeRoster(offered, roster)) {
        nextRoster = offered
        operations.push(records.putOperation('roster', lists.roster))
      }
    }
    if (lists.bans) {
      const offered = keeper.open('ban-list', lists.bans, banListCodec)
      if (judgeBanList(offered, bans)) {
        nextBans = holdBans(offered, lists.bans)
        operations.push(records.putOperation('bans', lists.bans))
      }
    }
    if (operations.length === 0) return
    await store.batch(operations)
    const before = bans
    roster = nextRoster
    bans = nextBans
    for (const peer of nextBans?.peers ?? []) if (!before?.peers.has(peer)) onBanned(peer)
  }
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work)
    turn = done.catch(() => undefined)
    return done
  }
  return {
    get rosterNumber() {
      return roster?.number ?? 0
    },
    get banNumber() {
      return bans?.list.number ?? 0
    },
    get signedBans() {
      return bans?.signed
    },
    isCache: (peer) =>
      roster?.members.some((member) => member.role === 'cache' && member.peer === peer) ?? false,
    isBanned: (peer) => bans?.peers.has(peer) ?? false,
    members: (role) =>
      (roster?.members ?? [])
        .filter((member) => member.role === role)
        .map(({ peer, addrs }) => ({ peer, addrs })),
    take: (lists) => inTurn(() => takeNow(lists)),
    takeBanNews: (news) =>
      inTurn(async () => {
        if (!bans) return 'gap'
        if (news.number <= bans.list.number) return 'known'
        const follows = news.number === bans.list.number + 1
        if (!follows || Buffer.compare(news.previous, bans.hash) !== 0) return 'gap'
        const payload = banListCodec.encode(banListAfter(bans.list, news))
        await takeNow({ bans: { payload, signature: news.signature } })
        return 'taken'
      }),
  }
}

function holdBans(list: BanList, signed: Signed): HeldBans {
  const hash = new Uint8Array(createHash('sha256').update(signed.payload).digest())
  return { list, hash, signed, peers: new Set(list.bans.map(({ peer }) => peer)) }
}
