/**
 * Who may use the API: organizations, their projects, the users that belong to them and the keys
 * that open them. Kept in the store and whole in memory, because every request asks.
 */
import { randomUUID } from 'node:crypto'
import { type Logger, silentLogger } from '../../protocol/log/index.ts'
import type { Store } from '../../protocol/store/index.ts'
import { commit, openTable } from '../tables/index.ts'
import { type Caller, checkAccess, maySee } from './access.ts'
import {
  NameTakenError,
  OrganizationNotFoundError,
  ProjectNotFoundError,
  TenantNotEmptyError,
} from './errors.ts'
import { type KeyRing, openKeyRing } from './key-ring.ts'
import {
  type Access,
  type ApiKeyInfo,
  accesses,
  checkName,
  type Organization,
  OrganizationSchema,
  type Project,
  ProjectSchema,
  type User,
} from './records.ts'
import { openUsers, type Users } from './users.ts'

export type KeyOptions = Readonly<{
  /** Both, unless it is said. */
  scopes?: readonly Access[] | undefined
  /** Wall-clock time at which it ends; absent: never. */
  expiresMs?: number | undefined
}>

export interface Tenants {
  readonly users: Users
  readonly keyRing: Pick<KeyRing, 'all' | 'get' | 'revoke'>
  /** The caller whose key this is, or undefined. In time that says nothing about other keys. */
  authenticate(key: string, wants: Access): Caller | undefined
  /** Whether this key opens the admin API, and which it is. */
  authenticateAdmin(key: string): Readonly<{ keyId: string }> | undefined
  /**
   * @throws {OrganizationNotFoundError} also when it is another tenant's.
   * @throws {ScopeMissingError}
   */
  organization(caller: Caller, name: string): Organization
  /** @throws {OrganizationNotFoundError} @throws {ProjectNotFoundError} @throws {ScopeMissingError} */
  scope(
    caller: Caller,
    organization: string,
    project: string,
  ): Readonly<{ organization: string; organizationId: string; project: string; projectId: string }>
  organizations(): readonly Organization[]
  /** @throws {OrganizationNotFoundError} */
  findOrganization(name: string): Organization
  /** @throws {OrganizationNotFoundError} */
  projects(organization: string): readonly Project[]
  /** @throws {OrganizationNotFoundError} @throws {ProjectNotFoundError} */
  findProject(organization: string, name: string): Project
  /** Its own quota of replicas; undefined: the coordinator's setting. */
  quotaOf(organizationId: string): number | undefined
  /** Finds or makes it. @throws {TenantNameError} */
  ensureOrganization(name: string): Promise<Organization>
  /** Finds or makes it, and its organization. @throws {TenantNameError} */
  ensureProject(organization: string, name: string): Promise<Project>
  /** @throws {TenantNameError} @throws {NameTakenError} */
  createOrganization(name: string, replicasQuota?: number): Promise<Organization>
  /** @param replicasQuota undefined: the coordinator's setting. @throws {OrganizationNotFoundError} */
  setQuota(name: string, replicasQuota: number | undefined): Promise<Organization>
  /** @throws {TenantNameError} @throws {NameTakenError} */
  createProject(organization: string, name: string): Promise<Project>
  /** With its keys and memberships. @throws {TenantNotEmptyError} it has projects. */
  deleteOrganization(name: string): Promise<void>
  /** @param occupants what lives in it, in words. @throws {TenantNotEmptyError} anything does. */
  deleteProject(
    organization: string,
    name: string,
    occupants: (projectId: string) => readonly string[],
  ): Promise<void>
  /** With its keys and memberships. @throws {UserNotFoundError} */
  deleteUser(name: string): Promise<void>
  /** A new random key; this is the only time it is shown. @throws {OrganizationNotFoundError} */
  makeKey(
    organization: string,
    label: string,
    options?: KeyOptions & Readonly<{ projects?: readonly string[] | undefined }>,
  ): ReturnType<KeyRing['make']>
  /** One that acts in its user's roles. */
  makeUserKey(user: User, label: string, options?: KeyOptions): ReturnType<KeyRing['make']>
  makeAdminKey(label: string, options?: Pick<KeyOptions, 'expiresMs'>): ReturnType<KeyRing['make']>
  /** Accepts a key that someone else made. @throws {ApiKeyError} too short, or another tenant's. */
  acceptKey(organization: string, key: string, label: string): Promise<ApiKeyInfo>
  /** @throws {ApiKeyError} */
  acceptAdminKey(key: string, label: string): Promise<ApiKeyInfo>
  keys(): readonly ApiKeyInfo[]
  /** Ends a key at once; unknown ones are fine. */
  revokeKey(id: string): Promise<void>
  /** Ends a key that the configuration names no more. */
  forgetKey(id: string): Promise<void>
}

export type TenantsComponents = Readonly<{
  store: Store
  logger?: Logger
  /** Wall-clock time: keys end, and are shown as used, for people. */
  nowMs?: () => number
}>

/** Loads the tenants that `store` holds. */
export async function createTenants({
  store,
  logger = silentLogger,
  nowMs = Date.now,
}: TenantsComponents): Promise<Tenants> {
  const organizations = await openTable('organizations', OrganizationSchema, {
    store,
    keyOf: ({ id }) => id,
    nameOf: ({ name }) => name,
  })
  const projects = await openTable('projects', ProjectSchema, {
    store,
    keyOf: ({ id }) => id,
    nameOf: ({ organizationId, name }) => projectName(organizationId, name),
  })
  const users = await openUsers({ store, nowMs })
  const ring = await openKeyRing({ store, nowMs, logger })
  const { roleOf } = users

  const find = (name: string): Organization => {
    const found = organizations.byName(name)
    if (!found) throw new OrganizationNotFoundError(name)
    return found
  }
  const findIn = ({ id, name: organization }: Organization, name: string): Project => {
    const found = projects.byName(projectName(id, name))
    if (!found) throw new ProjectNotFoundError(name, organization)
    return found
  }
  const seen = (caller: Caller, name: string): Organization => {
    const found = organizations.byName(name)
    if (!found || !maySee(caller, found, roleOf)) throw new OrganizationNotFoundError(name)
    return found
  }
  const projectsIn = (id: string): readonly Project[] =>
    projects.all().filter(({ organizationId }) => organizationId === id)

  const tenants: Tenants = {
    users,
    keyRing: ring,
    authenticate(key, wants) {
      const found = ring.use(key)
      if (!found || found.grant.to === 'admin') return undefined
      const { id: keyId, grant } = found
      const owner =
        grant.to === 'user' ? users.byId(grant.userId) : organizations.get(grant.organizationId)
      return owner && { keyId, grant, wants }
    },
    authenticateAdmin(key) {
      const found = ring.use(key)
      return found?.grant.to === 'admin' ? { keyId: found.id } : undefined
    },
    organization(caller, name) {
      const organization = seen(caller, name)
      checkAccess(caller, { organization }, roleOf)
      return organization
    },
    scope(caller, organizationName, name) {
      const organization = seen(caller, organizationName)
      const project = findIn(organization, name)
      checkAccess(caller, { organization, project }, roleOf)
      return {
        ...{ organization: organization.name, organizationId: organization.id },
        ...{ project: project.name, projectId: project.id },
      }
    },
    organizations: () => organizations.all(),
    findOrganization: find,
    projects: (organization) => projectsIn(find(organization).id),
    findProject: (organization, name) => findIn(find(organization), name),
    quotaOf: (id) => organizations.get(id)?.replicasQuota,
    ensureOrganization: async (name) =>
      organizations.byName(name) ?? tenants.createOrganization(name),
    async ensureProject(organization, name) {
      const { id } = await tenants.ensureOrganization(organization)
      return (
        projects.byName(projectName(id, name)) ?? (await tenants.createProject(organization, name))
      )
    },
    async createOrganization(name, replicasQuota) {
      checkName('organization', name)
      if (organizations.isTaken(name)) throw new NameTakenError('organization', name)
      const quota = replicasQuota === undefined ? {} : { replicasQuota }
      return organizations.put({ id: randomUUID(), name, createdMs: nowMs(), ...quota })
    },
    setQuota(name, replicasQuota) {
      const { replicasQuota: _, ...rest } = find(name)
      return organizations.put(replicasQuota === undefined ? rest : { ...rest, replicasQuota })
    },
    async createProject(organization, name) {
      checkName('project', name)
      const { id: organizationId } = find(organization)
      if (projects.isTaken(projectName(organizationId, name))) {
        throw new NameTakenError('project', name)
      }
      return projects.put({ id: randomUUID(), organizationId, name, createdMs: nowMs() })
    },
    async deleteOrganization(name) {
      const { id } = find(name)
      const count = projectsIn(id).length
      if (count > 0)
        throw new TenantNotEmptyError('organization', name, [counted(count, 'project')])
      await commit(store, [
        ...ring.forgetting((grant) => grant.to === 'organization' && grant.organizationId === id),
        ...users.deletingMembersOf(id),
        organizations.deleting(id),
      ])
    },
    async deleteProject(organization, name, occupants) {
      const { id } = findIn(find(organization), name)
      const inside = occupants(id)
      if (inside.length > 0) throw new TenantNotEmptyError('project', name, inside)
      // Gone from memory before the disk turns: nothing can move in meanwhile.
      await projects.delete(id)
    },
    async deleteUser(name) {
      const user = users.get(name)
      const isTheirs = ring.forgetting((grant) => grant.to === 'user' && grant.userId === user.id)
      await commit(store, [...isTheirs, ...users.deleting(user)])
    },
    async makeKey(name, label, { scopes = accesses, projects: limit, expiresMs } = {}) {
      const organization = find(name)
      const projectIds = limit?.map((project) => findIn(organization, project).id)
      const grant = { to: 'organization' as const, organizationId: organization.id }
      const what = { ...grant, scopes: [...scopes], ...(projectIds && { projectIds }) }
      return ring.make(what, { label, expiresMs })
    },
    makeUserKey: ({ id }, label, { scopes = accesses, expiresMs } = {}) =>
      ring.make({ to: 'user', userId: id, scopes: [...scopes] }, { label, expiresMs }),
    makeAdminKey: (label, options = {}) => ring.make({ to: 'admin' }, { label, ...options }),
    async acceptKey(organization, key, label) {
      const { id: organizationId } = find(organization)
      const grant = { to: 'organization' as const, organizationId, scopes: [...accesses] }
      return ring.accept(grant, key, label)
    },
    acceptAdminKey: (key, label) => ring.accept({ to: 'admin' }, key, label),
    keys: () => ring.all(),
    revokeKey: (id) => ring.revoke(id),
    forgetKey: (id) => ring.forget(id),
  }
  return tenants
}

function projectName(organizationId: string, name: string): string {
  return `${organizationId}/${name}`
}

function counted(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count} ${noun}s`
}
