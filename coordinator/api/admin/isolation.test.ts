/**
 * Whatever operators do, in any order: a key reads its own organization and no other. A small model
 * says what each key may see; after each step every key tries every place.
 */
import { expect } from 'chai'
import fc from 'fast-check'
import { startApi, type TestApi } from '../api.fixture.ts'

const organizations = ['acme', 'globex', 'initech'] as const
const projects = ['web', 'jobs'] as const
const users = ['anna', 'bert'] as const
type Step = Readonly<{ method: 'POST' | 'PUT' | 'DELETE'; path: string; body?: unknown }>

const organization = fc.constantFrom(...organizations)
const project = fc.constantFrom(...projects)
const user = fc.constantFrom(...users)
const scopes = fc.constantFrom(['read'], ['write'], ['read', 'write'])

const post = (path: string) => (body: unknown) => ({ method: 'POST' as const, path, body })
const remove = (path: string) => ({ method: 'DELETE' as const, path })
const making = fc.oneof(
  fc.record({ name: organization }).map(post('/organizations')),
  fc.record({ name: user }).map(post('/users')),
  fc
    .tuple(organization, fc.record({ name: project }))
    .map(([name, body]) => post(`/organizations/${name}/projects`)(body)),
  fc
    .tuple(organization, user, fc.constantFrom('owner', 'member', 'viewer'))
    .map(([name, who, role]) => ({
      ...{ method: 'PUT' as const, path: `/organizations/${name}/members/${who}`, body: { role } },
    })),
)
const keys = fc.oneof(
  fc
    .tuple(
      organization,
      fc.record(
        { scopes, projects: fc.uniqueArray(project, { minLength: 1 }) },
        { requiredKeys: [] },
      ),
    )
    .map(([name, body]) => post(`/organizations/${name}/keys`)(body)),
  fc
    .tuple(user, fc.record({ scopes }, { requiredKeys: [] }))
    .map(([name, body]) => post(`/users/${name}/keys`)(body)),
)
const removing = fc.oneof(
  organization.map((name) => remove(`/organizations/${name}`)),
  user.map((name) => remove(`/users/${name}`)),
  fc
    .tuple(organization, project)
    .map(([name, inside]) => remove(`/organizations/${name}/projects/${inside}`)),
  fc
    .tuple(organization, user)
    .map(([name, who]) => remove(`/organizations/${name}/members/${who}`)),
)
/** More is made than removed, else there is nothing that could be seen. */
const steps: fc.Arbitrary<Step | 'revoke' | 'restart'> = fc.oneof(
  { weight: 6, arbitrary: making },
  { weight: 4, arbitrary: keys },
  { weight: 3, arbitrary: removing },
  { weight: 1, arbitrary: fc.constantFrom('revoke' as const, 'restart' as const) },
)

/** Everything there is, so that most keys open something. */
const prologue: readonly Step[] = [
  post('/organizations')({ name: 'initech' }),
  ...users.map((name) => post('/users')({ name })),
  ...organizations.flatMap((name) =>
    projects.map((inside) => post(`/organizations/${name}/projects`)({ name: inside })),
  ),
]

type Key = Readonly<{
  id: string
  key: string
  scopes: readonly string[]
  /** Of the organization, or of the user, that it was made for: names come back, ids do not. */
  owner: string
  projectIds?: readonly string[]
}>

/** What is true by what the admin API said; nothing of the code under test. */
class Model {
  readonly ids = new Map<string, string>()
  readonly members = new Set<string>()
  keys: Key[] = []

  take({ method, path, body }: Step, answer: Readonly<Record<string, unknown>>): void {
    const id = answer.id as string
    const wanted = (body ?? {}) as Readonly<Record<string, string>>
    const [, , name = '', inner, who = ''] = path.split('/')
    if (inner === 'keys') this.#takeKey(name, answer, wanted)
    else if (inner === 'members') {
      const member = `${this.ids.get(name)}/${this.ids.get(who)}`
      if (method === 'PUT') this.members.add(member)
      else this.members.delete(member)
    } else if (inner === 'projects') {
      if (method === 'POST') this.ids.set(`${name}/${wanted.name}`, id)
      else this.ids.delete(`${name}/${who}`)
    } else if (method === 'POST') this.ids.set(wanted.name!, id)
    else this.ids.delete(name)
  }

  #takeKey(
    name: string,
    answer: Readonly<Record<string, unknown>>,
    wanted: Readonly<Record<string, unknown>>,
  ): void {
    const owner = this.ids.get(name)!
    const limit = wanted.projects as readonly string[] | undefined
    const idOf = (inside: string) => this.ids.get(`${name}/${inside}`)!
    this.keys.push({
      ...{ id: answer.id as string, key: answer.key as string, owner },
      scopes: (wanted.scopes ?? ['read', 'write']) as readonly string[],
      ...(limit && { projectIds: limit.map(idOf) }),
    })
  }

  mayRead({ owner, scopes, projectIds }: Key, name: string, inside: string): boolean {
    const [own, within] = [this.ids.get(name), this.ids.get(`${name}/${inside}`)]
    if (!own || !within || !scopes.includes('read')) return false
    if (projectIds && !projectIds.includes(within)) return false
    const isMember = this.members.has(`${own}/${owner}`) && [...this.ids.values()].includes(owner)
    return owner === own || isMember
  }
}

/** Every key tries everywhere, revoked ones too. */
const settings = { wrongKeysPerMinute: 0 }

describe('coordinator/api: isolation of organizations', function () {
  this.timeout(120_000)

  /** Returns how many may read something. */
  const check = async (api: TestApi, model: Model): Promise<number> => {
    let allowed = 0
    for (const key of model.keys) {
      for (const name of organizations) {
        for (const inside of projects) {
          const path = `/organizations/${name}/projects/${inside}/containers`
          const headers = { 'salad-api-key': key.key }
          const { statusCode } = await api.call('GET', path, undefined, { headers })
          if (statusCode === 200) allowed++
          if (model.mayRead(key, name, inside)) expect(statusCode, path).to.equal(200)
          else expect(statusCode, path).to.be.oneOf([401, 403, 404])
          // 403 tells that it is there: only to who may know that.
          const isMember = model.members.has(`${model.ids.get(name)}/${key.owner}`)
          const isOwn = model.ids.get(name) === key.owner
          if (statusCode === 403) expect(isOwn || isMember, `${path} is told of`).to.equal(true)
        }
      }
    }
    return allowed
  }

  /** The fixture makes these at each start, as a configuration does. */
  const learnFixture = ({ tenants }: TestApi, { ids }: Model): void => {
    for (const name of ['acme', 'globex']) {
      ids.set(name, tenants.findOrganization(name).id)
      ids.set(`${name}/web`, tenants.findProject(name, 'web').id)
    }
  }

  it('holds after every step of any sequence of admin calls', async () => {
    let allowed = 0
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { minLength: 5, maxLength: 25 }), async (sequence) => {
        let api = await startApi({ settings })
        const model = new Model()
        learnFixture(api, model)
        for (const step of [...prologue, ...sequence]) {
          if (step === 'revoke') {
            const gone = model.keys.shift()
            if (gone) await api.admin('DELETE', `/keys/${gone.id}`)
            if (gone) model.keys.push({ ...gone, owner: 'nobody' })
          } else if (step === 'restart') {
            await api.app.close()
            api = await startApi({ settings, store: api.store })
            learnFixture(api, model)
          } else {
            const answer = await api.admin(step.method, step.path, step.body)
            expect(answer.statusCode, answer.body).to.be.lessThan(500)
            const isDone = answer.statusCode < 300
            if (isDone) model.take(step, answer.body === '' ? {} : answer.json())
          }
          allowed += await check(api, model)
        }
        await api.app.close()
      }),
      { numRuns: 40 },
    )
    expect(allowed, 'keys that open something are among them').to.be.greaterThan(200)
  })
})
