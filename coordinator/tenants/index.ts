/** Tenants: organizations, projects, users, API keys. */
export type { Caller } from './access.ts'
export { bootstrapTenants, defaultTenants, type TenantInit } from './bootstrap.ts'
export type { MadeKey } from './key-ring.ts'
export {
  type Access,
  type ApiKeyInfo,
  accesses,
  checkName,
  keyProjectsMax,
  type Member,
  namePattern,
  type Organization,
  type Project,
  type Role,
  roles,
  type User,
} from './records.ts'
export { createTenants, type KeyOptions, type Tenants } from './tenants.ts'
