/** What the routes of operators have at hand, and the parts that their schemas share. */
import Type, { type TSchema } from 'typebox'
import type { Chefs } from '../../chefs/index.ts'
import type { NodeListing } from '../../sessions/index.ts'
import { ProblemSchema } from '../problems.ts'
import type { BanRoutesContext } from '../routes/admin/bans.ts'
import type { SecurityRoutesContext } from '../routes/admin/security.ts'
import { bodyProblems, commonProblems, type RouteContext } from '../routes/context.ts'
import { NameSchema } from '../schemas/fields.ts'

/** Something that an operator changed, or tried to. Holds no secret: bodies and answers are not told. */
export type AdminAct = Readonly<{
  /** The admin key's id. */
  keyId: string
  /** As in the documentation: `admin_create_key`. */
  operation: string
  /** Names and ids of the path. */
  at: Readonly<Record<string, string>>
  status: number
  requestId: string
}>

/** What only operators see. */
export type AdminParts = Readonly<{
  chefs: Chefs
  nodes: () => readonly NodeListing[]
  onAct: (act: AdminAct) => void
}> &
  BanRoutesContext &
  SecurityRoutesContext
export type AdminContext = RouteContext & AdminParts

/** The documentation's part of a route. */
export function about(operation: string, summary: string) {
  return { operationId: `admin_${operation}`, summary, tags: ['admin'] }
}

export function listOf<S extends TSchema>(item: S) {
  return Type.Object({ items: Type.Array(item) })
}

/** What is made under a name alone. */
export const NamedSchema = Type.Object({ name: NameSchema }, { additionalProperties: false })

/** A date for people and programs. */
export function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}

/** An answer with a secret: nothing on the way keeps it. */
export function unstored<R extends Readonly<{ header(name: string, value: string): R }>>(
  reply: R,
): R {
  return reply.header('cache-control', 'no-store')
}

export const readProblems = commonProblems
export const writeProblems = { ...bodyProblems, 409: ProblemSchema }
/** Gone, or done: no body. */
export const done = Type.Unsafe<undefined>({ type: 'null', description: 'Done' })
/** Names are looked up, not validated: one that no name can be is one that is not found. */
export const name = Type.String()
