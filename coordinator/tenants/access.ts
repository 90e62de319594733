/**
 * What a caller may do, decided anew at each request: a role that was taken away, a key that was
 * revoked opens nothing a moment later. First whether the caller may know of a thing at all (else it
 * is not found), then whether it may do what it wants (else it is told so).
 */
import { ProjectNotFoundError, ScopeMissingError } from './errors.ts'
import type { Access, Grant, Organization, Project, Role } from './records.ts'

/** Who is calling: the key (for limits and logs), what it opens and what this request wants. */
export type Caller = Readonly<{
  keyId: string
  grant: Exclude<Grant, { to: 'admin' }>
  wants: Access
}>

/** What each role may. An owner may what a member may; the name says whom to ask. */
const roleAccess: Readonly<Record<Role, readonly Access[]>> = {
  owner: ['read', 'write'],
  member: ['read', 'write'],
  viewer: ['read'],
}

export type RoleOf = (organizationId: string, userId: string) => Role | undefined

/** Whether an organization exists for this caller. */
export function maySee({ grant }: Caller, { id }: Organization, roleOf: RoleOf): boolean {
  if (grant.to === 'organization') return grant.organizationId === id
  return roleOf(id, grant.userId) !== undefined
}

/**
 * For an organization that the caller may see, and perhaps one of its projects.
 * @throws {ProjectNotFoundError} a project that its key does not name.
 * @throws {ScopeMissingError} it may see, and not do this.
 */
export function checkAccess(
  { grant, wants }: Caller,
  { organization, project }: Readonly<{ organization: Organization; project?: Project }>,
  roleOf: RoleOf,
): void {
  const limit = grant.to === 'organization' ? grant.projectIds : undefined
  if (project && limit && !limit.includes(project.id)) {
    throw new ProjectNotFoundError(project.name, organization.name)
  }
  if (!grant.scopes.includes(wants)) {
    throw new ScopeMissingError(`this API key has no scope "${wants}"; use one that has`)
  }
  if (!project && limit && wants === 'write') {
    throw new ScopeMissingError(
      'this API key is limited to some projects, and this is a matter of the whole organization; use one that is not',
    )
  }
  if (grant.to !== 'user') return
  const role = roleOf(organization.id, grant.userId)
  if (role && roleAccess[role].includes(wants)) return
  throw new ScopeMissingError(
    `your role in organization ${JSON.stringify(organization.name)} is ${role}, which may not ${wants}; ask for another role`,
  )
}
