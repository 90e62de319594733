/** What is kept of organizations, projects, users and API keys. */
import Type, { type Static } from 'typebox'
import {
  BytesSchema,
  CountSchema,
  ListSchema,
  TextSchema,
  UuidSchema,
} from '../../protocol/wire/index.ts'
import { TenantNameError } from './errors.ts'

/** The contract's form of organization, project and container group names; users' and chefs' too. */
export const namePattern = '^[a-z][a-z0-9-]{0,61}[a-z0-9]$'
const nameForm = new RegExp(namePattern)
const NameSchema = Type.String({ pattern: namePattern })

export const OrganizationSchema = Type.Object({
  id: UuidSchema,
  name: NameSchema,
  createdMs: CountSchema(),
  /** Of all its groups together; absent: the coordinator's setting. */
  replicasQuota: Type.Optional(CountSchema()),
})
export type Organization = Static<typeof OrganizationSchema>

export const ProjectSchema = Type.Object({
  id: UuidSchema,
  organizationId: UuidSchema,
  name: NameSchema,
  createdMs: CountSchema(),
})
export type Project = Static<typeof ProjectSchema>

export const UserSchema = Type.Object({
  id: UuidSchema,
  name: NameSchema,
  createdMs: CountSchema(),
})
export type User = Static<typeof UserSchema>

export const roles = ['owner', 'member', 'viewer'] as const
export type Role = (typeof roles)[number]

export const MemberSchema = Type.Object({
  organizationId: UuidSchema,
  userId: UuidSchema,
  role: Type.Union([Type.Literal('owner'), Type.Literal('member'), Type.Literal('viewer')]),
})
export type Member = Static<typeof MemberSchema>

/** What a request of the public API does. */
export const accesses = ['read', 'write'] as const
export type Access = (typeof accesses)[number]

const AccessesSchema = ListSchema(Type.Union([Type.Literal('read'), Type.Literal('write')]), 2)
/** Projects that one key may be limited to. */
export const keyProjectsMax = 64

/** What a key opens: one organization, what its user may, or the admin API. Never two of these. */
export const GrantSchema = Type.Union([
  Type.Object({
    to: Type.Literal('organization'),
    organizationId: UuidSchema,
    scopes: AccessesSchema,
    /** Only these of its projects; absent: all. */
    projectIds: Type.Optional(ListSchema(UuidSchema, keyProjectsMax)),
  }),
  Type.Object({ to: Type.Literal('user'), userId: UuidSchema, scopes: AccessesSchema }),
  Type.Object({ to: Type.Literal('admin') }),
])
export type Grant = Static<typeof GrantSchema>

export const ApiKeySchema = Type.Object({
  id: UuidSchema,
  /** SHA-256 of the key's UTF-8 bytes. */
  hash: BytesSchema(32, 32),
  grant: GrantSchema,
  /** `config` keys follow files: one that is named no more ends at the next start. */
  source: Type.Union([Type.Literal('config'), Type.Literal('made')]),
  label: TextSchema(200),
  createdMs: CountSchema(),
  expiresMs: Type.Optional(CountSchema()),
  /** A `config` key that was revoked is remembered: its file must not bring it back. */
  revokedMs: Type.Optional(CountSchema()),
})
export type ApiKeyRecord = Static<typeof ApiKeySchema>

/** Apart from the key: a late note of a use must not bring a revoked key back. */
export const KeyUseSchema = Type.Object({ keyId: UuidSchema, lastUsedMs: CountSchema() })

/** What is shown of a key: all but its hash. */
export type ApiKeyInfo = Readonly<Omit<ApiKeyRecord, 'hash'>> & Readonly<{ lastUsedMs?: number }>

/** @throws {TenantNameError} */
export function checkName(kind: string, name: string): void {
  if (nameForm.test(name)) return
  const valid =
    'it must be 2 to 63 lower-case letters, digits and hyphens, begin with a letter and not end with a hyphen'
  throw new TenantNameError(kind, name, valid)
}
