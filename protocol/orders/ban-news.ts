/**
 * The next ban list as what it changes of the one before, with the signature of the whole. Lists
 * are encoded deterministically, so whoever holds the one before rebuilds the very bytes that were
 * signed and verifies those: a ban costs 200 bytes a peer instead of a list of up to a megabyte,
 * and there is no second kind of signed thing. Whoever holds an older one asks for the whole list.
 */
import Type, { type Static } from 'typebox'
import {
  BytesSchema,
  CountSchema,
  createCodec,
  ListSchema,
  NetworkIdSchema,
  PeerIdSchema,
  TermSchema,
  TimeMsSchema,
} from '../wire/index.ts'
import { type Ban, type BanList, BanSchema } from './schemas.ts'

/** What one step of the list changes at most; more is cut into several lists. */
export const banChangesMax = 256

export const BanNewsSchema = Type.Object({
  v: Type.Literal(1),
  network: NetworkIdSchema,
  term: TermSchema,
  /** Of the list that this makes. */
  number: CountSchema(),
  /** SHA-256 of the payload of the list before, which must be held to take this. */
  previous: BytesSchema(32, 32),
  issuedMs: TimeMsSchema,
  /** New, or in the place of an entry of the same peer. */
  added: ListSchema(BanSchema, banChangesMax),
  removed: ListSchema(PeerIdSchema, banChangesMax),
  /** Of the whole list's payload, under its own domain. */
  signature: BytesSchema(64, 64),
})
export type BanNews = Static<typeof BanNewsSchema>

export const banNewsCodec = createCodec('ban news', BanNewsSchema, { maxBytes: 65_536 })

/** The order in which a list names its bans; without one order no two would rebuild equal bytes. */
export function sortedBans(bans: Iterable<Ban>): Ban[] {
  return [...bans].sort((a, b) => (a.peer < b.peer ? -1 : a.peer > b.peer ? 1 : 0))
}

/** How `after`, signed so, differs from the list before; undefined when that is too much. */
export function banNewsOf(
  before: BanList,
  after: BanList,
  signature: Uint8Array,
): BanNews | undefined {
  const held = new Map(before.bans.map((ban) => [ban.peer, ban]))
  const added = after.bans.filter((ban) => !isSame(held.get(ban.peer), ban))
  const kept = new Set(after.bans.map(({ peer }) => peer))
  const removed = before.bans.flatMap(({ peer }) => (kept.has(peer) ? [] : [peer]))
  if (added.length > banChangesMax || removed.length > banChangesMax) return undefined
  const { v, network, term, number, previous, issuedMs } = after
  return { v, network, term, number, previous, issuedMs, added, removed, signature }
}

/** The list that `news` makes of the one before it; its signature is not verified yet. */
export function banListAfter(before: BanList, news: BanNews): BanList {
  const { added, removed, signature: _, ...facts } = news
  const bans = new Map(before.bans.map((ban) => [ban.peer, ban]))
  for (const peer of removed) bans.delete(peer)
  for (const ban of added) bans.set(ban.peer, ban)
  return { ...facts, bans: sortedBans(bans.values()) }
}

function isSame(a: Ban | undefined, b: Ban): boolean {
  return a !== undefined && a.reason === b.reason && a.sinceMs === b.sinceMs
}
