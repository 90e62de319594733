/**
 * Chefs: the accounts that own nodes. An operator makes a claim code for a chef; the node that
 * presents it over its own authenticated stream is bound to that chef, durably, until it is
 * released. Without it a machine's owner would be whoever says so.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import Type, { type Static } from 'typebox'
import type { PeerId } from '../../protocol/ids.ts'
import type { Store } from '../../protocol/store/index.ts'
import { BytesSchema, CountSchema, PeerIdSchema, UuidSchema } from '../../protocol/wire/index.ts'
import { commit, openTable } from '../tables/index.ts'
import { checkName, namePattern } from '../tenants/index.ts'
import { drawClaimCode, hashClaimCode } from './claim-code.ts'
import {
  ChefHasNodesError,
  ChefNameTakenError,
  ChefNotFoundError,
  ClaimNotFoundError,
  ClaimRefusedError,
  NodeNotClaimedError,
  TooManyClaimsError,
} from './errors.ts'
import { createGuesses } from './guesses.ts'

const ChefSchema = Type.Object({
  id: UuidSchema,
  name: Type.String({ pattern: namePattern }),
  createdMs: CountSchema(),
})
export type Chef = Static<typeof ChefSchema>

const ClaimSchema = Type.Object({
  id: UuidSchema,
  chefId: UuidSchema,
  hash: BytesSchema(32, 32),
  createdMs: CountSchema(),
  expiresMs: CountSchema(),
})
/** What is shown of a code that waits to be used. */
export type Claim = Readonly<Omit<Static<typeof ClaimSchema>, 'hash'>>

const OwnerSchema = Type.Object({
  node: PeerIdSchema,
  chefId: UuidSchema,
  claimedMs: CountSchema(),
  /** Of the code that bound it: a node that starts again with it has nothing new to say. */
  hash: BytesSchema(32, 32),
})
/** Whose a node is, and since when. */
export type Owner = Readonly<Omit<Static<typeof OwnerSchema>, 'hash'>>

export interface Chefs {
  all(): readonly Chef[]
  /** @throws {ChefNotFoundError} */
  get(name: string): Chef
  /** @throws {TenantNameError} @throws {ChefNameTakenError} */
  create(name: string): Promise<Chef>
  /** With the codes that wait. @throws {ChefNotFoundError} @throws {ChefHasNodesError} */
  delete(name: string): Promise<void>
  /** A new code; this is the only time it is shown. @throws {TooManyClaimsError} */
  makeClaim(name: string, lifeMs: number): Promise<Readonly<{ claim: Claim; code: string }>>
  claims(name: string): readonly Claim[]
  /** @throws {ClaimNotFoundError} */
  revokeClaim(name: string, id: string): Promise<void>
  /**
   * Binds `node`, as the code says. The same code again from the same node is fine.
   * @throws {ClaimRefusedError} no such code, too many wrong ones, or another chef's node.
   */
  claim(node: PeerId, code: string, household: string): Promise<Chef>
  /** @throws {NodeNotClaimedError} */
  release(node: string): Promise<void>
  ownerOf(node: PeerId): Chef | undefined
  owners(): readonly Owner[]
}

/** Codes that one chef may have waiting. */
const claimsMax = 100

export type ChefsComponents = Readonly<{
  store: Store
  /** Wall-clock time: codes run out for people. */
  nowMs?: () => number
  random?: (length: number) => Uint8Array
}>

/** Loads the chefs that `store` holds. */
export async function openChefs({
  store,
  nowMs = Date.now,
  random = (length) => randomBytes(length),
}: ChefsComponents): Promise<Chefs> {
  const keyOf = ({ id }: { readonly id: string }): string => id
  const chefs = await openTable('chefs', ChefSchema, { store, keyOf, nameOf: ({ name }) => name })
  const claims = await openTable('chef-claims', ClaimSchema, {
    ...{ store, keyOf },
    nameOf: ({ hash }) => hex(hash),
  })
  const owners = await openTable('node-owners', OwnerSchema, {
    store,
    keyOf: ({ node }) => node,
    nameOf: ({ node }) => node,
  })
  const guesses = createGuesses({ nowMs })

  const get = (name: string): Chef => {
    const chef = chefs.byName(name)
    if (!chef) throw new ChefNotFoundError(name)
    return chef
  }
  const claimsOf = ({ id }: Chef) => claims.all().filter(({ chefId }) => chefId === id)
  const isLive = ({ expiresMs }: Claim): boolean => expiresMs > nowMs()

  return {
    all: () => chefs.all(),
    get,
    async create(name) {
      checkName('chef', name)
      if (chefs.isTaken(name)) throw new ChefNameTakenError(name)
      return chefs.put({ id: randomUUID(), name, createdMs: nowMs() })
    },
    async delete(name) {
      const chef = get(name)
      const nodes = owners.all().filter(({ chefId }) => chefId === chef.id).length
      if (nodes > 0) throw new ChefHasNodesError(name, nodes)
      const codes = claimsOf(chef).map(({ id }) => claims.deleting(id))
      await commit(store, [...codes, chefs.deleting(chef.id)])
    },
    async makeClaim(name, lifeMs) {
      const chef = get(name)
      const [live, dead] = [claimsOf(chef).filter(isLive), claims.all().filter((it) => !isLive(it))]
      if (live.length >= claimsMax) throw new TooManyClaimsError(name, claimsMax)
      const code = drawClaimCode(random)
      const createdMs = nowMs()
      const times = { createdMs, expiresMs: createdMs + lifeMs }
      const claim = { id: randomUUID(), chefId: chef.id, hash: hashClaimCode(code), ...times }
      // What ran out goes with the next one that is made.
      const gone = dead.map(({ id }) => claims.deleting(id))
      await commit(store, [...gone, claims.putting(claim)])
      return { claim: withoutHash(claim), code }
    },
    claims: (name) => claimsOf(get(name)).filter(isLive).map(withoutHash),
    async revokeClaim(name, id) {
      const found = claims.get(id)
      if (found?.chefId !== get(name).id) throw new ClaimNotFoundError(id)
      await claims.delete(id)
    },
    async claim(node, code, household) {
      const waitMs = guesses.waitMs(household)
      if (waitMs > 0) throw rateLimited(waitMs)
      const hash = hashClaimCode(code)
      const owner = owners.get(node)
      const bound = owner && chefs.get(owner.chefId)
      if (bound && hex(owner.hash) === hex(hash)) return bound
      const found = claims.byName(hex(hash))
      const chef = found && isLive(found) ? chefs.get(found.chefId) : undefined
      if (!found || !chef) {
        guesses.wrong(household)
        throw new ClaimRefusedError('CLAIM_CODE_INVALID', invalid)
      }
      if (!owner && owners.isTaken(node)) throw new ClaimRefusedError('CLAIM_UNDER_WAY', underWay)
      if (bound && bound.id !== chef.id) throw new ClaimRefusedError('NODE_CLAIMED', claimed)
      // The code is gone from memory before the disk turns: of two nodes that come at once one wins.
      await commit(store, [
        claims.deleting(found.id),
        owners.putting({ node, chefId: chef.id, claimedMs: nowMs(), hash }),
      ])
      return chef
    },
    async release(node) {
      if (!owners.get(node)) throw new NodeNotClaimedError(node)
      await owners.delete(node)
    },
    ownerOf(node) {
      const owner = owners.get(node)
      return owner && chefs.get(owner.chefId)
    },
    owners: () => owners.all().map(withoutHash),
  }
}

const invalid =
  'the claim code opens nothing: it was mistyped, was used, was taken back or has run out; ask for a new one'
const claimed =
  'this node belongs to another chef; that chef has to let go of it first (potluck admin node release)'

const underWay = 'another claim of this node is being written; try again in a second'

function rateLimited(waitMs: number): ClaimRefusedError {
  const waitS = Math.ceil(waitMs / 1_000)
  const message = `too many wrong claim codes came from this household; try again in ${waitS} s`
  return new ClaimRefusedError('CLAIM_RATE_LIMITED', message)
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function withoutHash<T extends Readonly<{ hash: Uint8Array }>>({ hash: _, ...rest }: T) {
  return rest
}
