/** A ban among so many peers, from the operator's word to the last home: what the tests of it share. */
import { expect } from 'chai'
import { eventually } from '../../coordinator/testing/coordinator.ts'
import { fetchBans } from '../../protocol/bans/index.ts'
import { bansTopic } from '../../protocol/mesh/index.ts'
import { type BanStreet, createBanStreet, type Home, isConnected, meet } from './ban-street.ts'

/** trust.md: what a ban may take to the last of 200. */
const lastMsMax = 3_000

export type SpreadInit = Readonly<{
  homes: number
  /** Of them, homes that reach no coordinator: gossip alone tells them. */
  away: number
}>

export type Spread = Readonly<{ lastMs: number; cutMs: number; lastAwayMs: number }>

/** Bans a peer that many have a connection with, and follows the ban to the end. */
export async function spreadBan({ homes, away }: SpreadInit): Promise<Spread> {
  const street = await createBanStreet()
  try {
    await settle(street, { homes, away })
    const bad = await street.addHome()
    const others = street.homes.filter((home) => home !== bad)
    const met = others.filter((_, at) => at % 5 === 0)
    for (const home of met) await meet(bad, home)
    const [offline, cutOff] = others.slice(-2) as [Home, Home]
    await street.switchOff(offline)
    await street.switchOff(cutOff)
    const here = others.slice(0, -2)

    const measured = await ban(street, bad, here)
    await refuses(bad, here)
    await learnsAtStart(street, bad, offline)
    await learnsFromPeers(street, bad, { cutOff, peer: here[0] as Home })
    await keepsOverRestart(street, bad, here[1] as Home)
    return measured
  } finally {
    await street.stop()
  }
}

/** Starts all, makes a mesh of them, and waits until gossip has a way to each that needs one. */
async function settle(street: BanStreet, { homes, away }: SpreadInit): Promise<void> {
  for (let count = 0; count < homes; count++) await street.addHome({ away: count < away })
  for (const [at, home] of street.homes.entries()) {
    for (const step of [1, 7, 13]) await meet(home, street.homes[(at + step) % homes] as Home)
  }
  for (const home of street.homes) {
    // Not among the typed methods, and the only word on who gossip passes a message on to.
    const pubsub = home.peer.mesh.services.pubsub as unknown as {
      getMeshPeers(topic: string): readonly string[]
    }
    const hasWays = (): boolean => pubsub.getMeshPeers(bansTopic).length > 1
    await eventually('gossip has neighbours', hasWays, 30_000)
  }
}

async function ban(street: BanStreet, bad: Home, here: readonly Home[]): Promise<Spread> {
  const startedMs = performance.now()
  await street.book.ban({ peer: bad.peer.id, source: 'operator', by: 'test' })
  const since = async (what: string, homes: readonly Home[], isDone: (home: Home) => boolean) => {
    await eventually(what, () => homes.every(isDone), 30_000)
    return performance.now() - startedMs
  }
  const [lastMs, cutMs, lastAwayMs] = await Promise.all([
    since('all know of it', here, ({ peer }) => peer.lists.isBanned(bad.peer.id)),
    since('all connections are cut', here, (home) => !isConnected(home, bad.peer.id)),
    since(
      'gossip has told',
      here.filter(({ peer }) => peer.network.coordinatorAddrs[0] === '/ip4/127.0.0.1/tcp/1'),
      ({ peer }) => peer.lists.isBanned(bad.peer.id),
    ),
  ])
  expect(lastMs).to.be.at.most(lastMsMax)
  expect(cutMs).to.be.at.most(lastMsMax)
  return { lastMs, cutMs, lastAwayMs }
}

/** Neither end gets an answer of the other any more. */
async function refuses(bad: Home, here: readonly Home[]): Promise<void> {
  for (const home of here.slice(0, 5)) {
    const answer = await meet(bad, home).then(
      () => asks(bad, home),
      () => undefined,
    )
    expect(answer).to.equal(undefined)
    expect(await isMet(home, bad)).to.equal(false)
    expect(isConnected(home, bad.peer.id)).to.equal(false)
  }
}

/** The gater acts after Noise, so the dialler may first see a connection that is then closed. */
async function asks(bad: Home, { peer }: Home): Promise<unknown> {
  const question = { peer: peer.id, have: undefined }
  const wait = { mesh: bad.peer.mesh, signal: AbortSignal.timeout(5_000) }
  return await fetchBans(question, wait).catch(() => undefined)
}

async function isMet(from: Home, to: Home): Promise<boolean> {
  return await meet(from, to).then(
    () => true,
    () => false,
  )
}

async function learnsAtStart(street: BanStreet, bad: Home, home: Home): Promise<void> {
  expect(home.peer.lists.isBanned(bad.peer.id)).to.equal(false)
  await street.switchOn(home)
  expect(home.peer.lists.isBanned(bad.peer.id)).to.equal(true)
}

async function learnsFromPeers(
  street: BanStreet,
  bad: Home,
  { cutOff, peer }: { readonly cutOff: Home; readonly peer: Home },
): Promise<void> {
  await street.stopCoordinator()
  await street.switchOn(cutOff, { away: true })
  expect(cutOff.peer.lists.isBanned(bad.peer.id)).to.equal(false)
  await meet(cutOff, peer)
  await eventually('a peer told it', () => cutOff.peer.lists.isBanned(bad.peer.id))
  expect(cutOff.peer.lists.signedBans).to.deep.equal(street.book.signed)
}

/** With nobody to ask. */
async function keepsOverRestart(street: BanStreet, bad: Home, home: Home): Promise<void> {
  await street.switchOff(home)
  await street.switchOn(home, { away: true })
  expect(home.peer.lists.isBanned(bad.peer.id)).to.equal(true)
  expect(await isMet(home, bad)).to.equal(false)
}
