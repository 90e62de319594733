/** Tenants: organizations, projects, API keys. */
export { bootstrapTenants, defaultTenants, type TenantInit } from './bootstrap.ts'
export {
  type ApiKeyInfo,
  type Caller,
  createTenants,
  namePattern,
  type Organization,
  type Project,
  type Tenants,
} from './tenants.ts'
