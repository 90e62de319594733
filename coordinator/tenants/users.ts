/**
 * Users: people who own API keys, and belong to organizations in a role. Potluck has no passwords
 * and sends no mail: a user is an account that keys hang on, so that one person's keys end together.
 */
import { randomUUID } from 'node:crypto'
import type { Store } from '../../protocol/store/index.ts'
import { type Change, openTable } from '../tables/index.ts'
import { MemberNotFoundError, NameTakenError, UserNotFoundError } from './errors.ts'
import {
  checkName,
  type Member,
  MemberSchema,
  type Role,
  type User,
  UserSchema,
} from './records.ts'

export interface Users {
  all(): readonly User[]
  /** @throws {UserNotFoundError} */
  get(name: string): User
  byId(id: string): User | undefined
  /** @throws {TenantNameError} @throws {NameTakenError} */
  create(name: string): Promise<User>
  deleting(user: User): readonly Change[]
  roleOf(organizationId: string, userId: string): Role | undefined
  membersOf(organizationId: string): readonly Member[]
  membershipsOf(userId: string): readonly Member[]
  setRole(member: Member): Promise<Member>
  /** @throws {MemberNotFoundError} */
  removeMember(organization: Readonly<{ id: string; name: string }>, user: User): Promise<void>
  deletingMembersOf(organizationId: string): readonly Change[]
}

export async function openUsers({
  store,
  nowMs,
}: Readonly<{ store: Store; nowMs: () => number }>): Promise<Users> {
  const users = await openTable('users', UserSchema, {
    store,
    keyOf: ({ id }) => id,
    nameOf: ({ name }) => name,
  })
  const members = await openTable('members', MemberSchema, {
    store,
    keyOf: ({ organizationId, userId }) => memberKey(organizationId, userId),
  })
  const membersWhere = (isIt: (member: Member) => boolean) => members.all().filter(isIt)
  const deleting = (gone: readonly Member[]): readonly Change[] =>
    gone.map(({ organizationId, userId }) => members.deleting(memberKey(organizationId, userId)))

  const book: Users = {
    all: () => users.all(),
    get(name) {
      const user = users.byName(name)
      if (!user) throw new UserNotFoundError(name)
      return user
    },
    byId: (id) => users.get(id),
    async create(name) {
      checkName('user', name)
      if (users.isTaken(name)) throw new NameTakenError('user', name)
      return users.put({ id: randomUUID(), name, createdMs: nowMs() })
    },
    deleting: ({ id }) => [...deleting(book.membershipsOf(id)), users.deleting(id)],
    // A role of somebody who is no more is none.
    roleOf: (organizationId, userId) =>
      users.get(userId) && members.get(memberKey(organizationId, userId))?.role,
    membersOf: (id) => membersWhere(({ organizationId }) => organizationId === id),
    membershipsOf: (id) => membersWhere(({ userId }) => userId === id),
    setRole: (member) => members.put(member),
    async removeMember({ id, name }, user) {
      const key = memberKey(id, user.id)
      if (!members.get(key)) throw new MemberNotFoundError(user.name, name)
      await members.delete(key)
    },
    deletingMembersOf: (id) => deleting(book.membersOf(id)),
  }
  return book
}

function memberKey(organizationId: string, userId: string): string {
  return `${organizationId}/${userId}`
}
