/** Tenants: who gets in, who sees what, and what a start makes of the configuration. */
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { errorCode } from '../../protocol/errors.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { createMemoryStore, type Store } from '../../protocol/store/index.ts'
import { bootstrapTenants, createTenants, defaultTenants } from './index.ts'

async function codeOf(run: () => unknown): Promise<string | undefined> {
  try {
    await run()
  } catch (error) {
    return errorCode(error)
  }
  return undefined
}

describe('coordinator/tenants', () => {
  let store: Store
  beforeEach(() => {
    store = createMemoryStore()
  })

  it('lets a key into its own organization only, and tells a foreign one as absent', async () => {
    const tenants = await createTenants({ store })
    await tenants.ensureProject('acme', 'web')
    await tenants.ensureProject('globex', 'web')
    const { key } = await tenants.makeKey('acme', 'ci')
    const caller = tenants.authenticate(key, 'read')!
    expect(tenants.scope(caller, 'acme', 'web')).to.include({ organization: 'acme' })
    const foreign = await codeOf(() => tenants.scope(caller, 'globex', 'web'))
    const absent = await codeOf(() => tenants.scope(caller, 'nobody', 'web'))
    expect([foreign, absent]).to.deep.equal(['ORGANIZATION_NOT_FOUND', 'ORGANIZATION_NOT_FOUND'])
    expect(await codeOf(() => tenants.scope(caller, 'acme', 'nope'))).to.equal('PROJECT_NOT_FOUND')
  })

  it('refuses keys that are wrong, empty, shortened, or revoked', async () => {
    const tenants = await createTenants({ store })
    await tenants.ensureOrganization('acme')
    const { id, key } = await tenants.makeKey('acme', '')
    for (const wrong of ['', key.slice(0, -1), `${key}x`, key.toUpperCase()]) {
      expect(tenants.authenticate(wrong, 'read')).to.equal(undefined)
    }
    await tenants.revokeKey(id)
    expect(tenants.authenticate(key, 'read')).to.equal(undefined)
    expect((await createTenants({ store })).authenticate(key, 'read')).to.equal(undefined)
  })

  it('survives a restart, and never stores a key', async () => {
    const tenants = await createTenants({ store })
    await tenants.ensureProject('acme', 'web')
    const { key } = await tenants.makeKey('acme', 'ci')
    const again = await createTenants({ store })
    expect(again.authenticate(key, 'read')).to.deep.equal(tenants.authenticate(key, 'read'))
    for await (const [name, value] of store.entries()) {
      expect(name + JSON.stringify(value)).not.to.contain(key.slice(8))
    }
  })

  it('keeps to the names of the contract', async () => {
    const tenants = await createTenants({ store })
    for (const bad of ['a', 'A-b', '-ab', 'ab-', 'a_b', 'x'.repeat(64), '']) {
      expect(await codeOf(() => tenants.ensureOrganization(bad)), bad).to.equal(
        'TENANT_NAME_INVALID',
      )
    }
    expect((await tenants.ensureOrganization('ab')).name).to.equal('ab')
  })

  describe('at start', () => {
    let folder: string
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'potluck-tenants-'))
    })
    afterEach(() => rm(folder, { recursive: true, force: true }))

    const start = async (wanted = defaultTenants(folder)) => {
      const tenants = await createTenants({ store })
      await bootstrapTenants({ wanted }, { tenants, logger: silentLogger })
      return tenants
    }
    const readKey = async (file: string) => (await readFile(file, 'utf8')).trim()

    it('makes default/default with a key for its owner alone, once', async () => {
      const file = join(folder, 'api-key')
      const key = await start().then(() => readKey(file))
      expect((await stat(file)).mode & 0o777).to.equal(0o600)
      const tenants = await start()
      expect(await readKey(file)).to.equal(key)
      const caller = tenants.authenticate(key, 'read')!
      expect(tenants.scope(caller, 'default', 'default').project).to.equal('default')
      expect(tenants.keys()).to.have.length(1)
    })

    it('ends the old key when the file changes, and keeps keys made by hand', async () => {
      const file = join(folder, 'api-key')
      const made = await (await start()).makeKey('default', 'ci')
      const old = await readKey(file)
      await writeFile(file, 'a-new-key-of-the-operator\n')
      const tenants = await start()
      expect(tenants.authenticate(old, 'read')).to.equal(undefined)
      expect(tenants.authenticate('a-new-key-of-the-operator', 'read')).to.not.equal(undefined)
      expect(tenants.authenticate(made.key, 'read')).to.not.equal(undefined)
    })

    it('makes a key for the admin API, once, which opens nothing of tenants', async () => {
      const adminKeyFile = join(folder, 'admin-key')
      const boot = async () => {
        const tenants = await createTenants({ store })
        const init = { wanted: defaultTenants(folder), adminKeyFile }
        await bootstrapTenants(init, { tenants, logger: silentLogger })
        return tenants
      }
      const key = await boot().then(() => readKey(adminKeyFile))
      expect((await stat(adminKeyFile)).mode & 0o777).to.equal(0o600)
      const tenants = await boot()
      expect(await readKey(adminKeyFile)).to.equal(key)
      expect(tenants.authenticateAdmin(key)).to.not.equal(undefined)
      expect(tenants.authenticate(key, 'read')).to.equal(undefined)
      const tenantKey = await readKey(join(folder, 'api-key'))
      expect(tenants.authenticateAdmin(tenantKey)).to.equal(undefined)
    })

    it('leaves a key revoked that its file still names, and starts all the same', async () => {
      const key = await start().then(() => readKey(join(folder, 'api-key')))
      const tenants = await start()
      await tenants.revokeKey(tenants.keys()[0]!.id)
      for (const each of [tenants, await start(), await start()]) {
        expect(each.authenticate(key, 'read')).to.equal(undefined)
      }
    })

    it('closes a key file that others may read', async () => {
      const file = join(folder, 'api-key')
      await writeFile(file, 'a-key-that-is-long-enough')
      await chmod(file, 0o644)
      await start()
      expect((await stat(file)).mode & 0o777).to.equal(0o600)
    })

    it('names the file, never the key, when it cannot be used', async () => {
      const file = join(folder, 'short')
      await writeFile(file, 'canary')
      const init = { organization: 'acme', project: 'web', apiKeyFile: file }
      const error = await start([init]).catch((reason) => reason)
      expect(error).to.include({ code: 'API_KEY_INVALID' })
      expect(error.message).to.contain(file).and.not.contain('canary')
    })

    it('refuses one key for two organizations', async () => {
      const apiKeyFile = join(folder, 'shared')
      const both = ['acme', 'globex'].map((organization) => ({
        organization,
        project: 'web',
        apiKeyFile,
      }))
      expect(await codeOf(() => start(both))).to.equal('API_KEY_INVALID')
    })
  })
})
