/** The admin API as operators and their scripts meet it, and as nobody else does. */
import { expect } from 'chai'
import type { PeerId } from '../../../protocol/ids.ts'
import { containers, expectProblem, groupBody, startApi, type TestApi } from '../api.fixture.ts'

const node = '12D3KooWGRUyUmLcYH9LPiJwjkWBNBVdQdzBq3VLUsrPBBuX4yqK' as PeerId

describe('coordinator/api: admin', () => {
  let api: TestApi
  let nowMs: number
  beforeEach(async () => {
    nowMs = Date.now()
    api = await startApi({ wallNowMs: () => nowMs })
  })
  afterEach(() => api.app.close())

  const made = async (path: string, body: unknown) => {
    const answer = await api.admin('POST', path, body)
    expect(answer.statusCode, answer.body).to.equal(201)
    return answer.json()
  }
  const withKey = (key: string) => ({ headers: { 'salad-api-key': key } })

  describe('who gets in', () => {
    const paths = ['/organizations', '/organizations/acme', '/keys', '/nodes', '/nowhere']

    it('is a path like any unknown one to tenants, to wrong keys and to none', async () => {
      const { key: userKey } = await api.tenants.makeUserKey(
        await api.tenants.users.create('anna'),
        '',
      )
      for (const key of [api.key, userKey, 'wrong', undefined]) {
        const headers = key === undefined ? {} : { 'salad-api-key': key }
        for (const path of paths) {
          for (const method of ['GET', 'POST', 'DELETE', 'PATCH'] as const) {
            const [answer, unknown] = await Promise.all(
              ['/api/admin', '/api/nimda'].map((prefix) =>
                api.app.inject({ method, url: `${prefix}${path}?a=b`, headers, payload: '{' }),
              ),
            )
            expectProblem(answer!, 404, 'PATH_NOT_FOUND')
            const form = (one: typeof answer) =>
              one!.body.replace(/urn:uuid:[^"]+/, '').replace('nimda', 'admin')
            expect(form(answer)).to.equal(form(unknown))
            const names = (one: typeof answer) => Object.keys(one!.headers).sort()
            expect(names(answer)).to.deep.equal(names(unknown))
          }
        }
      }
    })

    it('lets no admin key into the public API', async () => {
      const answer = await api.call('GET', containers, undefined, withKey(api.adminKey))
      expectProblem(answer, 401, 'UNAUTHORIZED')
    })

    it('ends with the key, at once', async () => {
      const { id, key } = await made('/keys', { label: 'second' })
      expect((await api.admin('GET', '/keys', undefined, withKey(key))).statusCode).to.equal(200)
      expect((await api.admin('DELETE', `/keys/${id}`)).statusCode).to.equal(204)
      expect((await api.admin('GET', '/keys', undefined, withKey(key))).statusCode).to.equal(404)
    })

    it('429 beyond the rate', async () => {
      const limited = await startApi({ settings: { ratePerMinute: 2 } })
      for (let i = 0; i < 2; i++) await limited.admin('GET', '/users')
      expectProblem(await limited.admin('GET', '/users'), 429, 'RATE_LIMITED')
      await limited.app.close()
    })

    it('413 beyond what a body may be', async () => {
      const body = { name: 'x'.repeat(1 << 20) }
      expectProblem(await api.admin('POST', '/users', body), 413, 'BODY_TOO_LARGE')
    })
  })

  describe('organizations and projects', () => {
    it('are made, shown and deleted', async () => {
      expect(await made('/organizations', { name: 'initech' })).to.deep.include({
        ...{ name: 'initech', replicas_quota: null, replicas_used: 0, projects: [] },
      })
      await made('/organizations/initech/projects', { name: 'web' })
      const { items } = (await api.admin('GET', '/organizations')).json()
      expect(items.map((item: { name: string }) => item.name)).to.have.members([
        ...['acme', 'globex', 'initech'],
      ])
      expectProblem(await api.admin('DELETE', '/organizations/initech'), 409, 'NOT_EMPTY')
      const project = '/organizations/initech/projects/web'
      expect((await api.admin('GET', project)).json()).to.include({ container_groups: 0 })
      expect((await api.admin('DELETE', project)).statusCode).to.equal(204)
      expectProblem(await api.admin('GET', project), 404, 'PROJECT_NOT_FOUND')
      expect((await api.admin('DELETE', '/organizations/initech')).statusCode).to.equal(204)
      expectProblem(await api.admin('GET', '/organizations/initech'), 404, 'ORGANIZATION_NOT_FOUND')
    })

    it('409 for a name that is taken, also by one on the way', async () => {
      expectProblem(await api.admin('POST', '/organizations', { name: 'acme' }), 409, 'NAME_TAKEN')
      const both = await Promise.all(
        ['initech', 'initech'].map((name) => api.admin('POST', '/organizations', { name })),
      )
      expect(both.map(({ statusCode }) => statusCode).sort()).to.deep.equal([201, 409])
    })

    it('400 with the field for what is not valid', async () => {
      const bad: readonly [string, object, string][] = [
        ['/organizations', { name: 'A' }, 'name'],
        ['/organizations', { name: 'ok', quota: 1 }, 'quota'],
        ['/organizations', { name: 'ok', replicas_quota: -1 }, 'replicas_quota'],
        ['/keys', { scopes: ['read'] }, 'scopes'],
        ['/users/anna/keys', { projects: ['web'] }, 'projects'],
        ['/organizations/acme/keys', { scopes: ['fly'] }, 'scopes[0]'],
        ['/organizations/acme/keys', { expires_in_s: 1 }, 'expires_in_s'],
      ]
      for (const [path, body, field] of bad) {
        const { errors } = expectProblem(
          await api.admin('POST', path, body),
          400,
          'REQUEST_INVALID',
        )
        expect(Object.keys(errors), JSON.stringify(body)).to.deep.equal([field])
      }
    })

    it('409 for a project in which a group lives, is being made or being cleared', async () => {
      const project = '/organizations/acme/projects/web'
      const making = api.call('POST', containers, groupBody())
      await making
      const refused = expectProblem(await api.admin('DELETE', project), 409, 'NOT_EMPTY')
      expect(refused.detail).to.contain('1 container group')
      await api.call('DELETE', `${containers}/hello`)
      expectProblem(await api.admin('DELETE', project), 409, 'NOT_EMPTY')
      await api.groups.forgetDeleted(api.groups.all()[0]!.id)
      const [deleted, created] = await Promise.all([
        api.admin('DELETE', project),
        api.call('POST', containers, groupBody()),
      ])
      // Whoever came first: never a group without its project.
      expect([204, 409]).to.include(deleted.statusCode)
      expect(created.statusCode).to.equal(deleted.statusCode === 204 ? 404 : 201)
    })

    it('have a quota of their own, which the public API shows and keeps', async () => {
      const quota = async () =>
        (await api.call('GET', '/organizations/acme/quotas')).json().container_groups_quotas
          .container_replicas_quota
      expect(await quota()).to.equal(10_000)
      const patch = (replicas_quota: number | null) =>
        api.admin('PATCH', '/organizations/acme', { replicas_quota })
      expect((await patch(1)).json().replicas_quota).to.equal(1)
      expect(await quota()).to.equal(1)
      const group = groupBody({ replicas: 2 })
      expectProblem(await api.call('POST', containers, group), 403, 'QUOTA_EXCEEDED')
      expect((await patch(null)).json().replicas_quota).to.equal(null)
      expect((await api.call('POST', containers, group)).statusCode).to.equal(201)
    })
  })

  describe('keys', () => {
    it('shows the secret once, and when the key was used last', async () => {
      const { id, key, ...shown } = await made('/organizations/acme/keys', { label: 'ci' })
      expect(key).to.match(/^potluck_/)
      expect(shown).to.deep.include({
        ...{ label: 'ci', organization: 'acme', projects: null, user: null, admin: false },
        ...{ scopes: ['read', 'write'], expires_at: null, last_used_at: null, revoked_at: null },
      })
      await api.call('GET', containers, undefined, withKey(key))
      await new Promise((resolve) => setImmediate(resolve))
      const got = await api.admin('GET', `/keys/${id}`)
      expect(got.json().last_used_at).to.equal(new Date(nowMs).toISOString())
      expect(got.body).not.to.contain(key)
      expect((await api.admin('GET', '/keys?organization=acme')).body).not.to.contain(key)
    })

    it('that may read only: 403 for writes, in words; another tenant stays 404', async () => {
      const { key } = await made('/organizations/acme/keys', { scopes: ['read'] })
      const call = (method: string, path: string, body?: unknown) =>
        api.call(method, path, body, { headers: { 'salad-api-key': key } })
      expect((await call('GET', containers)).statusCode).to.equal(200)
      const refused = expectProblem(
        await call('POST', containers, groupBody()),
        403,
        'SCOPE_MISSING',
      )
      expect(refused.detail).to.contain('no scope "write"')
      const foreign = '/organizations/globex/projects/web/containers'
      expectProblem(await call('POST', foreign, groupBody()), 404, 'ORGANIZATION_NOT_FOUND')
      // Nor does it learn there what a valid body is.
      expectProblem(await call('POST', foreign, { name: 1 }), 404, 'ORGANIZATION_NOT_FOUND')
    })

    it('limited to a project: another is not found, and comes back under no name', async () => {
      await made('/organizations/acme/projects', { name: 'other' })
      const { key, projects } = await made('/organizations/acme/keys', { projects: ['other'] })
      expect(projects).to.deep.equal(['other'])
      const status = async (project: string) =>
        (
          await api.call(
            ...(['GET', `/organizations/acme/projects/${project}/containers`, undefined] as const),
            withKey(key),
          )
        ).statusCode
      expect([await status('other'), await status('web')]).to.deep.equal([200, 404])
      await api.admin('DELETE', '/organizations/acme/projects/other')
      await made('/organizations/acme/projects', { name: 'other' })
      expect(await status('other')).to.equal(404)
    })

    it('end when they say so', async () => {
      const { key } = await made('/organizations/acme/keys', { expires_in_s: 60 })
      const status = async () =>
        (await api.call('GET', containers, undefined, withKey(key))).statusCode
      expect(await status()).to.equal(200)
      nowMs += 120_000
      expect(await status()).to.equal(401)
    })

    it('of a user act in that user’s roles, as they are now', async () => {
      await made('/users', { name: 'anna' })
      const { key } = await made('/users/anna/keys', {})
      const call = async (method: string, body?: unknown) =>
        (await api.call(method, containers, body, { headers: { 'salad-api-key': key } })).statusCode
      const role = (name: string) =>
        api.admin('PUT', '/organizations/acme/members/anna', { role: name })
      expect(await call('GET')).to.equal(404)
      expect((await role('viewer')).statusCode).to.equal(200)
      expect([await call('GET'), await call('POST', groupBody())]).to.deep.equal([200, 403])
      await role('member')
      expect(await call('POST', groupBody())).to.equal(201)
      expect((await api.admin('GET', '/users/anna')).json().memberships).to.deep.equal([
        { user: 'anna', organization: 'acme', role: 'member' },
      ])
      await api.admin('DELETE', '/organizations/acme/members/anna')
      expect(await call('GET')).to.equal(404)
      await role('owner')
      expect((await api.admin('DELETE', '/users/anna')).statusCode).to.equal(204)
      expect(await call('GET')).to.equal(401)
    })

    it('404 for owners, projects and keys that are none', async () => {
      const of = (path: string, body = {}) => api.admin('POST', `${path}/keys`, body)
      expectProblem(await of('/organizations/nobody'), 404, 'ORGANIZATION_NOT_FOUND')
      expectProblem(await of('/users/nobody'), 404, 'USER_NOT_FOUND')
      const limited = await of('/organizations/acme', { projects: ['none'] })
      expectProblem(limited, 404, 'PROJECT_NOT_FOUND')
      expectProblem(await api.admin('DELETE', '/keys/none'), 404, 'KEY_NOT_FOUND')
    })
  })

  describe('chefs and nodes', () => {
    it('makes claim codes that are shown once and can be taken back', async () => {
      await made('/chefs', { name: 'alice' })
      const { id, code, expires_at } = await made('/chefs/alice/claims', { life_s: 60 })
      expect(Date.parse(expires_at) - nowMs).to.equal(60_000)
      const list = await api.admin('GET', '/chefs/alice/claims')
      expect(list.json().items).to.have.length(1)
      expect(list.body).not.to.contain(code)
      expect((await api.admin('DELETE', `/chefs/alice/claims/${id}`)).statusCode).to.equal(204)
      expectProblem(await api.admin('DELETE', `/chefs/alice/claims/${id}`), 404, 'CLAIM_NOT_FOUND')
      expectProblem(await api.admin('GET', '/chefs/nobody/claims'), 404, 'CHEF_NOT_FOUND')
    })

    it('shows nodes with whose they are, and keeps a chef that has some', async () => {
      const { id } = await made('/chefs', { name: 'alice' })
      const { code } = await made('/chefs/alice/claims', {})
      await api.chefs.claim(node, code, 'home')
      api.nodes.push({
        ...{ node, chef: id, connected: true, banned: false, instances: 1 },
        ...{ household: '203.0.113.7', country: 'de' },
      })
      const [shown] = (await api.admin('GET', '/nodes')).json().items
      expect(shown).to.deep.include({
        ...{ node, chef: 'alice', household: '203.0.113.7', country: 'de', connected: true },
        capacity: null,
      })
      expectProblem(await api.admin('DELETE', '/chefs/alice'), 409, 'CHEF_HAS_NODES')
      expect((await api.admin('DELETE', `/nodes/${node}/chef`)).statusCode).to.equal(204)
      expectProblem(await api.admin('DELETE', `/nodes/${node}/chef`), 404, 'NODE_NOT_CLAIMED')
      expect((await api.admin('DELETE', '/chefs/alice')).statusCode).to.equal(204)
    })
  })

  it('tells what operators do, by whose key, and no secret of it', async () => {
    await api.admin('GET', '/keys')
    const { key } = await made('/organizations/acme/keys', {})
    await api.admin('DELETE', '/organizations/acme/projects/nope')
    await api.call('DELETE', containers)
    const admin = api.tenants.keys().find(({ grant }) => grant.to === 'admin')
    expect(api.acts.map(({ operation, status, at }) => [operation, status, at])).to.deep.equal([
      ['admin_create_organization_key', 201, { organization: 'acme' }],
      ['admin_delete_project', 404, { organization: 'acme', project: 'nope' }],
    ])
    expect(JSON.stringify(api.acts)).not.to.contain(key)
    for (const { keyId } of api.acts) expect(keyId).to.equal(admin?.id)
  })

  it('400, in the documented form, for a query that is given twice', async () => {
    const answer = await api.admin('GET', '/keys?organization=acme&organization=globex')
    expectProblem(answer, 400, 'REQUEST_INVALID')
  })

  it('is documented: every path, with its problems', async () => {
    const { paths } = api.app.swagger() as { paths: Record<string, Record<string, unknown>> }
    const own = Object.entries(paths).filter(([path]) => path.startsWith('/api/admin/'))
    expect(own.length).to.be.greaterThan(12)
    for (const [path, methods] of own) {
      for (const [method, operation] of Object.entries(methods)) {
        const { responses, operationId } = operation as Record<string, Record<string, unknown>>
        expect(responses, `${method} ${path}`).to.include.keys('404', '429')
        expect(operationId).to.match(/^admin_/)
      }
    }
  })
})
