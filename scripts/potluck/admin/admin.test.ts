/** `potluck admin` as operators meet it, against the coordinator's own API over HTTP. */
import { EventEmitter } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { startApi, type TestApi } from '../../../coordinator/api/api.fixture.ts'
import type { PeerId, SlotId } from '../../../protocol/ids.ts'
import { main } from '../main.ts'

const node = '12D3KooWGRUyUmLcYH9LPiJwjkWBNBVdQdzBq3VLUsrPBBuX4yqK' as PeerId

describe('potluck admin', () => {
  let api: TestApi
  let url: string
  before(async () => {
    api = await startApi()
    url = await api.app.listen({ host: '127.0.0.1', port: 0 })
  })
  after(() => api.app.close())

  const run = async (words: string, env?: Record<string, string>) => {
    let stdout = ''
    let stderr = ''
    const code = await main(['admin', ...words.split(' ')], {
      env: env ?? { POTLUCK_API: url, POTLUCK_ADMIN_KEY: api.adminKey },
      stdout: (text) => {
        stdout += text
      },
      stderr: (text) => {
        stderr += text
      },
      events: Object.assign(new EventEmitter(), { exit: () => {} }),
      processes: [],
      exitCode: 0,
    })
    return { code, stdout, stderr }
  }
  const done = async (words: string) => {
    const { code, stdout, stderr } = await run(words)
    expect(code, stderr).to.equal(0)
    return stdout
  }
  const json = async (words: string) => JSON.parse(await done(`${words} --json`))

  it('makes, lists, shows and deletes organizations and projects', async () => {
    expect(await done('organization create initech --quota 7')).to.match(/replicas_quota: +7\n/)
    expect(await done('organization set initech --quota default')).to.match(/replicas_quota: +-\n/)
    await done('project create initech/web')
    expect(await done('project list initech')).to.match(/^NAME +GROUPS +CREATED\nweb +0 /)
    const { items } = await json('organization list')
    expect(items).to.have.length(3)
    const refused = await run('organization delete initech')
    expect(refused).to.include({ code: 1, stdout: '' })
    expect(refused.stderr).to.contain('has 1 project; delete that first')
    await done('project delete initech/web')
    expect(await run('organization delete initech')).to.deep.equal({
      ...{ code: 0, stdout: '', stderr: 'organization initech deleted\n' },
    })
    expect(await run('organization show initech')).to.include({ code: 1 })
  })

  it('bans, lists, lifts and remembers', async () => {
    expect(await done(`ban ${node} --reason forged-capacity --for 30d`)).to.match(
      /reason: +forged-capacity\n/,
    )
    expect(await done('bans')).to.match(new RegExp(`${node} +forged-capacity +operator +until `))
    await done(`appeal ${node} sorry`)
    expect(await run(`unban ${node} --note fine --shield 1h`)).to.deep.equal({
      ...{ code: 0, stdout: '', stderr: `the ban of ${node} is lifted\n` },
    })
    expect((await json('bans')).items).to.deep.equal([])
    expect(await done('bans --all')).to.match(/lifted by operator .* yes/)
    expect((await run('unban nobody')).stderr).to.contain('is not banned')
    expect((await run(`ban ${node} --for never`)).code).to.equal(2)
  })

  it('shows alarms and held groups, and releases one', async () => {
    const group = '00000000-0000-4000-8000-00000000000a'
    await api.security.take(
      { peer: node, household: '192.0.2.1' },
      {
        ...{ type: 'security-report', id: group, seenMs: 1 },
        evidence: {
          ...{ suspect: 'workload', slot: `${group}/0` as SlotId, sensor: 'falco' },
          ...{ rule: 'shell', text: 'bash' },
        },
      },
    )
    expect(await done('alarms')).to.contain(`workload ${group}/0`)
    expect(await done('holds')).to.contain(group)
    expect((await run(`release ${group} --false-alarm`)).stderr).to.contain('is released')
    expect((await json('holds')).items).to.deep.equal([])
    expect((await json('suspects')).items).to.deep.equal([])
  })

  it('prints a key and nothing else on stdout, and revokes it', async () => {
    const { stdout, stderr } = await run(
      'key create --organization acme --project web --scope read --for 90d --label ci',
    )
    expect(stdout).to.match(/^potluck_[\w-]{43}\n$/)
    expect(stderr).to.contain('shown this once').and.not.contain(stdout.trim())
    const { items } = await json('key list --organization acme')
    const made = items.find(({ label }: { label: string }) => label === 'ci')
    expect(made).to.deep.include({ projects: ['web'], scopes: ['read'] })
    expect(await done('key list'))
      .to.contain('acme/{web}')
      .and.not.contain(stdout.trim())
    await done(`key revoke ${made.id}`)
    expect(await run(`key show ${made.id}`)).to.include({ code: 1 })
  })

  it('gives users roles', async () => {
    await done('user create anna')
    await done('user add anna acme')
    await done('user add anna globex --role viewer')
    expect(await done('user show anna')).to.contain('acme (member), globex (viewer)')
    expect((await json('key create --user anna')).user).to.equal('anna')
    await done('user remove anna acme')
    expect((await json('user show anna')).memberships).to.have.length(1)
    await done('user delete anna')
    expect((await json('key list')).items.some(({ user }: { user: unknown }) => user)).to.equal(
      false,
    )
  })

  it('makes a claim code for a chef, and shows whose nodes are', async () => {
    const { id } = await json('chef create alice')
    const { stdout, stderr } = await run('chef claim alice --for 2h')
    expect(stdout).to.match(/^\w{4}(-\w{4}){4}\n$/)
    expect(stderr).to.contain('potluck node run --claim').and.not.contain(stdout.trim())
    expect((await json('chef claims alice')).items).to.have.length(1)
    await api.chefs.claim(node, stdout, 'home')
    api.nodes.push({
      ...{ node, chef: id, connected: true, banned: false, household: '203.0.113.7' },
      ...{ country: 'de', instances: 2 },
      capacity: {
        ...{ milliCpus: 4_000, memoryBytes: 2 ** 33, storageBytes: 2 ** 36, gpus: [] },
        ...{ region: 'local', versions: {}, allocationsMax: 1, envAllowed: true },
      },
    })
    const list = await done('node ls')
    expect(list).to.match(
      /12D3Koo\w+ +alice +203.0.113.7 +de +connected +2 +4 cores, 8 GiB memory, 64 GiB disk/,
    )
    expect((await run('chef delete alice')).stderr).to.contain('potluck admin node release')
    await done(`node release ${node}`)
    await done('chef delete alice')
  })

  const wrong: readonly (readonly [string, string])[] = [
    ['organisation list', 'Did you mean organization?'],
    ['organization create', "missing required argument 'name'"],
    ['organization create Acme', '2 to 63 lower-case'],
    ['organization create acme2 --quota many', '--quota many is not valid; give a whole number'],
    ['organization set acme', 'give --quota'],
    ['project create web', 'give organization/project'],
    ['key create', 'give one of --organization, --user, --admin'],
    ['key create --admin --user anna', 'give one of'],
    ['key create --user anna --project web', '--project goes with --organization only'],
    ['key create --organization acme --scope fly', '"read", "write"; got "fly"'],
    ['key create --organization acme --for ever', '--for ever is not valid'],
    ['user add anna acme --role boss', '"owner", "member", "viewer"'],
    ['node list --api ftp://x', '--api ftp://x is not valid; give a URL'],
    ['node list --key-file /nowhere', '--key-file /nowhere cannot be read'],
  ]
  for (const [words, says] of wrong) {
    it(`exits with 2 and a reason: ${words}`, async () => {
      await api.tenants.users.create('anna').catch(() => undefined)
      const { code, stdout, stderr } = await run(words)
      expect(code, stderr).to.equal(2)
      expect(stderr).to.contain(says)
      expect(stdout).to.equal('')
    })
  }

  it('exits with 3 and the address where no coordinator answers', async () => {
    const key = { POTLUCK_ADMIN_KEY: api.adminKey }
    const refused = await run('node list', { ...key, POTLUCK_API: 'http://127.0.0.1:1' })
    expect(refused.code).to.equal(3)
    expect(refused.stderr).to.contain('no coordinator at http://127.0.0.1:1: ')
    expect(refused.stderr).to.contain('--api or POTLUCK_API').and.not.contain(api.adminKey)
  })

  it('exits with 3 where something else answers', async () => {
    const server = createServer((_request, response) => response.end('<html>')).listen(
      0,
      '127.0.0.1',
    )
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    const answer = await run(`node list --api http://127.0.0.1:${port}`)
    server.close()
    expect(answer.code).to.equal(3)
    expect(answer.stderr).to.contain('what answers there (status 200) is none')
  })

  it('takes the key from a file, and says where one lies', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'potluck-admin-'))
    const file = join(folder, 'admin-key')
    writeFileSync(file, `${api.adminKey}\n`)
    try {
      const found = await run(`chef list --key-file ${file} --api ${url}/api/public`, {})
      expect(found.code, found.stderr).to.equal(0)
      const none = await run(`chef list --api ${url}`, {})
      expect(none.code).to.equal(2)
      expect(none.stderr).to.contain('admin-key of its data folder')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('says that a key is no admin key, and never shows it', async () => {
    const { code, stderr } = await run('chef list', {
      POTLUCK_API: url,
      POTLUCK_ADMIN_KEY: api.key,
    })
    expect(code).to.equal(1)
    expect(stderr).to.contain('does not take this admin key').and.not.contain(api.key)
    const odd = await run('chef list', { POTLUCK_API: url, POTLUCK_ADMIN_KEY: 'canary ä' })
    expect(odd.code).to.equal(2)
    expect(odd.stderr).not.to.contain('canary')
  })

  it('has examples in every help', async () => {
    for (const words of ['', 'organization list', 'key create', 'chef claim', 'node list']) {
      const { code, stdout } = await run(`${words} --help`.trim())
      expect(code).to.equal(0)
      expect(stdout, words).to.contain('Examples:').and.contain('potluck admin')
    }
    expect(await done('key create --help'))
      .to.contain('POTLUCK_API')
      .and.contain('POTLUCK_ADMIN_KEY')
  })
})
