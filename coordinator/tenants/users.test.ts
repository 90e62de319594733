/** What a user's key may, by the roles that its user has now. */
import { expect } from 'chai'
import { errorCode } from '../../protocol/errors.ts'
import { createMemoryStore } from '../../protocol/store/index.ts'
import { type Access, createTenants, type Role, type Tenants } from './index.ts'

describe('coordinator/tenants: users', () => {
  let tenants: Tenants
  let key: string
  beforeEach(async () => {
    tenants = await createTenants({ store: createMemoryStore() })
    for (const name of ['acme', 'globex']) await tenants.ensureProject(name, 'web')
    ;({ key } = await tenants.makeUserKey(await tenants.users.create('anna'), 'laptop'))
  })
  const setRole = (name: string, role: Role) => {
    const { id: organizationId } = tenants.findOrganization(name)
    return tenants.users.setRole({ organizationId, userId: tenants.users.get('anna').id, role })
  }
  const outcome = (name: string, wants: Access): string => {
    const caller = tenants.authenticate(key, wants)
    if (!caller) return 'UNAUTHORIZED'
    try {
      tenants.scope(caller, name, 'web')
      return 'fine'
    } catch (error) {
      return errorCode(error) ?? 'odd'
    }
  }
  const all = (name: string) => [outcome(name, 'read'), outcome(name, 'write')]

  it('reads and writes by role, in each organization its own', async () => {
    await setRole('acme', 'viewer')
    expect(all('acme')).to.deep.equal(['fine', 'SCOPE_MISSING'])
    expect(all('globex')).to.deep.equal(Array(2).fill('ORGANIZATION_NOT_FOUND'))
    for (const role of ['member', 'owner'] as const) {
      await setRole('globex', role)
      expect(all('globex')).to.deep.equal(['fine', 'fine'])
    }
  })

  it('may no more than the key itself', async () => {
    await setRole('acme', 'owner')
    const user = tenants.users.get('anna')
    ;({ key } = await tenants.makeUserKey(user, 'reader', { scopes: ['read'] }))
    expect(all('acme')).to.deep.equal(['fine', 'SCOPE_MISSING'])
  })

  it('ends with the user, and no other user of the name inherits anything', async () => {
    await setRole('acme', 'owner')
    await tenants.deleteUser('anna')
    expect(all('acme')).to.deep.equal(['UNAUTHORIZED', 'UNAUTHORIZED'])
    const again = await tenants.users.create('anna')
    expect(tenants.users.membershipsOf(again.id)).to.deep.equal([])
    expect(tenants.keys()).to.deep.equal([])
  })

  it('ends with the organization, and no other of the name inherits anything', async () => {
    await setRole('acme', 'owner')
    const { key: own } = await tenants.makeKey('acme', 'ci')
    await tenants.deleteProject('acme', 'web', () => [])
    await tenants.deleteOrganization('acme')
    await tenants.ensureProject('acme', 'web')
    expect(all('acme')).to.deep.equal(Array(2).fill('ORGANIZATION_NOT_FOUND'))
    expect(tenants.authenticate(own, 'read')).to.equal(undefined)
  })
})
