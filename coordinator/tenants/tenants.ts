/**
 * Who may use the API: organizations, their projects, and the keys that open them. Kept in the
 * store and whole in memory, because every request asks. Of a key only its SHA-256 is kept: keys
 * are long and random, so a stolen database opens nothing and no slow hash is needed.
 */
import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import Type, { type Static } from 'typebox'
import { collection, type Store } from '../../protocol/store/index.ts'
import { BytesSchema, CountSchema, TextSchema, UuidSchema } from '../../protocol/wire/index.ts'
import {
  ApiKeyError,
  OrganizationNotFoundError,
  ProjectNotFoundError,
  TenantNameError,
} from './errors.ts'

/** The contract's form of organization, project and container group names. */
export const namePattern = '^[a-z][a-z0-9-]{0,61}[a-z0-9]$'
const nameForm = new RegExp(namePattern)

const OrganizationSchema = Type.Object({
  id: UuidSchema,
  name: Type.String({ pattern: namePattern }),
  createdMs: CountSchema(),
})
export type Organization = Static<typeof OrganizationSchema>

const ProjectSchema = Type.Object({
  id: UuidSchema,
  organizationId: UuidSchema,
  name: Type.String({ pattern: namePattern }),
  createdMs: CountSchema(),
})
export type Project = Static<typeof ProjectSchema>

const ApiKeySchema = Type.Object({
  id: UuidSchema,
  organizationId: UuidSchema,
  /** SHA-256 of the key's UTF-8 bytes. */
  hash: BytesSchema(32, 32),
  /** `config` keys follow the configuration: taken out of it, they end at the next start. */
  source: Type.Union([Type.Literal('config'), Type.Literal('made')]),
  label: TextSchema(200),
  createdMs: CountSchema(),
})
type ApiKeyRecord = Static<typeof ApiKeySchema>

/** What is shown of a key: all but its hash. */
export type ApiKeyInfo = Readonly<Omit<ApiKeyRecord, 'hash'>>

/** Who is calling: the key (for limits and logs) and the organization that it opens. */
export type Caller = Readonly<{ keyId: string; organization: string; organizationId: string }>

export interface Tenants {
  /** The caller whose key this is, or undefined. In time that says nothing about other keys. */
  authenticate(key: string): Caller | undefined
  /** @throws {OrganizationNotFoundError} also when it is another tenant's. */
  organization(caller: Caller, name: string): Organization
  /** @throws {OrganizationNotFoundError} @throws {ProjectNotFoundError} */
  scope(
    caller: Caller,
    organization: string,
    project: string,
  ): Readonly<{ organization: string; organizationId: string; project: string; projectId: string }>
  organizations(): readonly Organization[]
  projects(organization: string): readonly Project[]
  /** Finds or makes it. @throws {TenantNameError} */
  ensureOrganization(name: string): Promise<Organization>
  /** Finds or makes it, and its organization. @throws {TenantNameError} */
  ensureProject(organization: string, name: string): Promise<Project>
  /** A new random key; this is the only time it is shown. @throws {OrganizationNotFoundError} */
  makeKey(organization: string, label: string): Promise<{ readonly id: string; key: string }>
  /** Accepts a key that someone else made. @throws {ApiKeyError} too short, or another tenant's. */
  acceptKey(organization: string, key: string, label: string): Promise<ApiKeyInfo>
  keys(): readonly ApiKeyInfo[]
  /** Ends a key; unknown ones are fine. */
  revokeKey(id: string): Promise<void>
}

/** 128 bits of hex, or more: what a key from a file must have at least. */
const keyLengthMin = 16

/** A key as Potluck makes them: 256 random bits, with a start that secret scanners can look for. */
export function makeApiKeyText(): string {
  return `potluck_${randomBytes(32).toString('base64url')}`
}

/** Loads the tenants that `store` holds. */
export async function createTenants({ store }: { readonly store: Store }): Promise<Tenants> {
  const organizations = await load(collection(store, 'organizations', OrganizationSchema))
  const projects = await load(collection(store, 'projects', ProjectSchema))
  const keys = await load(collection(store, 'api-keys', ApiKeySchema))

  const byName = (name: string): Organization | undefined =>
    organizations.all().find((item) => item.name === name)
  const mine = (name: string): Organization => {
    const found = byName(name)
    if (!found) throw new OrganizationNotFoundError(name)
    return found
  }
  const owned = (caller: Caller, name: string): Organization => {
    const found = byName(name)
    if (found?.id !== caller.organizationId) throw new OrganizationNotFoundError(name)
    return found
  }
  const findKey = (hash: Buffer): ApiKeyRecord | undefined => {
    // Walks all keys: how long it takes tells how many there are, not which came close.
    let found: ApiKeyRecord | undefined
    for (const key of keys.all()) if (timingSafeEqual(key.hash, hash)) found = key
    return found
  }
  const addKey = async (
    organization: Organization,
    key: string,
    about: Pick<ApiKeyRecord, 'source' | 'label'>,
  ): Promise<ApiKeyRecord> => {
    const hash = hashOf(key)
    const known = findKey(hash)
    if (known && known.organizationId !== organization.id) {
      throw new ApiKeyError('another organization has this key; give each a key of its own')
    }
    if (known) return known
    const id = randomUUID()
    const own = { organizationId: organization.id, hash, createdMs: Date.now() }
    return keys.put({ id, ...own, ...about })
  }

  const tenants: Tenants = {
    authenticate(key) {
      const found = findKey(hashOf(key))
      const organization = found && organizations.get(found.organizationId)
      if (!found || !organization) return undefined
      return { keyId: found.id, organization: organization.name, organizationId: organization.id }
    },
    organization: owned,
    scope(caller, organizationName, projectName) {
      const { id, name } = owned(caller, organizationName)
      const project = projects
        .all()
        .find((item) => item.organizationId === id && item.name === projectName)
      if (!project) throw new ProjectNotFoundError(projectName, name)
      const { id: projectId } = project
      return { organization: name, organizationId: id, project: projectName, projectId }
    },
    organizations: () => organizations.all(),
    projects(organization) {
      const { id } = mine(organization)
      return projects.all().filter((item) => item.organizationId === id)
    },
    async ensureOrganization(name) {
      const found = byName(name)
      if (found) return found
      checkName('organization', name)
      return organizations.put({ id: randomUUID(), name, createdMs: Date.now() })
    },
    async ensureProject(organization, name) {
      checkName('project', name)
      const { id: organizationId } = await tenants.ensureOrganization(organization)
      const found = projects
        .all()
        .find((item) => item.organizationId === organizationId && item.name === name)
      if (found) return found
      return projects.put({ id: randomUUID(), organizationId, name, createdMs: Date.now() })
    },
    async makeKey(organization, label) {
      const key = makeApiKeyText()
      const { id } = await addKey(mine(organization), key, { source: 'made', label })
      return { id, key }
    },
    async acceptKey(organization, key, label) {
      if (key.length < keyLengthMin || key.length > 512 || /[^\x21-\x7e]/.test(key)) {
        throw new ApiKeyError(
          `it must be ${keyLengthMin} to 512 printable ASCII characters without spaces`,
        )
      }
      return infoOf(await addKey(mine(organization), key, { source: 'config', label }))
    },
    keys: () => keys.all().map(infoOf),
    revokeKey: (id) => keys.delete(id),
  }
  return tenants
}

function hashOf(key: string): Buffer {
  return createHash('sha256').update(key, 'utf8').digest()
}

function infoOf({ hash: _, ...info }: ApiKeyRecord): ApiKeyInfo {
  return info
}

function checkName(kind: string, name: string): void {
  if (nameForm.test(name)) return
  const valid =
    'it must be 2 to 63 lower-case letters, digits and hyphens, begin with a letter and not end with a hyphen'
  throw new TenantNameError(kind, name, valid)
}

type Table<V> = Readonly<{
  all(): readonly V[]
  get(id: string): V | undefined
  put(value: V): Promise<V>
  delete(id: string): Promise<void>
}>

/** A collection by id, all of it in memory; memory follows the disk, never leads it. */
async function load<V extends { readonly id: string }>(
  records: Readonly<{
    entries(): AsyncIterable<readonly [string, V]>
    put(key: string, value: V): Promise<void>
    delete(key: string): Promise<void>
  }>,
): Promise<Table<V>> {
  const byId = new Map<string, V>()
  for await (const [id, value] of records.entries()) byId.set(id, value)
  return {
    all: () => [...byId.values()],
    get: (id) => byId.get(id),
    async put(value) {
      await records.put(value.id, value)
      byId.set(value.id, value)
      return value
    },
    async delete(id) {
      await records.delete(id)
      byId.delete(id)
    },
  }
}
