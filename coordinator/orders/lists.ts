/**
 * The signed roster: who is a cache. Numbers only rise and the newest one is persisted before it is
 * shown, so that no restart shows an older one under the same number. Also the secret that keys the
 * DHT's ids, drawn once a network. The ban list is coordinator/bans' own.
 */
import { randomBytes } from 'node:crypto'
import type { NetworkId, PeerId, Term } from '../../protocol/ids.ts'
import { type Roster, rosterCodec } from '../../protocol/orders/index.ts'
import type { Signer } from '../../protocol/signing/index.ts'
import { collection, type Store } from '../../protocol/store/index.ts'
import { BytesSchema, type Signed, SignedSchema } from '../../protocol/wire/index.ts'
import type { Sealer } from '../secrets/index.ts'

export interface Lists {
  readonly roster: Signed
  /** 32 bytes. */
  readonly dhtSecret: Uint8Array
  /** Caches and relays of the roster. */
  readonly servers: readonly PeerId[]
  isCache(peer: PeerId): boolean
  /** Takes a cache's addresses; the new roster when they changed it, durable by then. */
  setCacheAddrs(peer: PeerId, addrs: readonly string[]): Promise<Signed | undefined>
}

export type ListsComponents = Readonly<{
  store: Store
  sealer: Sealer
  signer: Signer
  network: NetworkId
  term: Term
  nowMs: () => number
}>

const secretPlace = { record: 'network', field: 'dht-secret' }

/** Loads the lists, or signs the first ones. `caches`: the peers that the operator trusts. */
export async function openLists(
  { caches }: { readonly caches: readonly PeerId[] },
  components: ListsComponents,
): Promise<Lists> {
  const { store, sealer, signer, network, term, nowMs } = components
  const lists = collection(store, 'lists', SignedSchema)
  const secrets = collection(store, 'network-secrets', BytesSchema(30, 1_024))

  const sealedSecret = await secrets.get('dht')
  const dhtSecret = sealedSecret
    ? new Uint8Array(sealer.open(secretPlace, sealedSecret))
    : new Uint8Array(randomBytes(32))
  if (!sealedSecret) await secrets.put('dht', sealer.seal(secretPlace, dhtSecret))

  const kept = await lists.get('roster')
  let members: Roster['members'] = []
  let number = -1
  let signedTerm: Term | undefined
  if (kept) ({ members, number, term: signedTerm } = rosterCodec.decode(kept.payload))
  let roster = kept

  const sign = async (next: Roster['members']): Promise<Signed> => {
    number++
    const list: Roster = { v: 1, network, term, number, issuedMs: nowMs(), members: next }
    const signed = signer.sign('roster', rosterCodec.encode(list))
    await lists.put('roster', signed)
    members = next
    roster = signed
    return signed
  }
  const addrsOf = (peer: PeerId) => members.find((member) => member.peer === peer)?.addrs ?? []
  const wanted = caches.map((peer) => ({ peer, role: 'cache' as const, addrs: addrsOf(peer) }))
  const isSame = members.map(({ peer }) => peer).join() === caches.join() && signedTerm === term
  if (!roster || !isSame) roster = await sign(wanted)

  const trusted = new Set(caches)
  let tail: Promise<unknown> = Promise.resolve()
  return {
    get roster() {
      return roster as Signed
    },
    dhtSecret,
    get servers() {
      return members.map(({ peer }) => peer)
    },
    isCache: (peer) => trusted.has(peer),
    setCacheAddrs(peer, addrs) {
      const changed = tail.then(async () => {
        if (!trusted.has(peer) || addrsOf(peer).join() === addrs.join()) return undefined
        return await sign(
          members.map((member) =>
            member.peer === peer ? { ...member, addrs: [...addrs] } : member,
          ),
        )
      })
      tail = changed.catch(() => undefined)
      return changed
    },
  }
}
